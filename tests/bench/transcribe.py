"""A talk written down: mmcli beside faster-whisper called directly with the same options, in turns.

    python -m tests.bench.transcribe --model FOLDER [--repeat 8] [--batch 1] [--threads 1] [--runs 5]

FOLDER holds a Whisper in CTranslate2's form. The talk is espeak-ng's. The bar: 1.05× the wall time.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from tests.bench.measure import COMPILED, Ratios, machine, run
from tests.bench.subjects import MMCLI
from tests.speaking import talk

DIRECT = """
import sys
from faster_whisper import BatchedInferencePipeline, WhisperModel
folder, path, threads, batch, compute_type = sys.argv[1:]
model = WhisperModel(folder, device="cpu", compute_type=compute_type, cpu_threads=int(threads))
how = dict(vad_filter=True, condition_on_previous_text=False)
if int(batch) > 1:
    found, _ = BatchedInferencePipeline(model).transcribe(path, batch_size=int(batch), without_timestamps=False, **how)
else:
    found, _ = model.transcribe(path, **how)
for segment in found:
    print(segment.text.strip(), flush=True)
"""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--model", type=Path, required=True, help="folder of the speech model")
    options.add_argument("--repeat", type=int, default=8, help="length of the talk, in units of about 15 seconds")
    options.add_argument("--batch", type=int, default=1)
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--runs", type=int, default=5)
    given = options.parse_args()
    print(machine())
    ratios, same = Ratios(), True
    with tempfile.TemporaryDirectory() as scratch:
        path = talk(Path(scratch) / "talk.wav", repeat=given.repeat)
        threads, batch = str(given.threads), str(given.batch)
        mine = [*MMCLI, "transcribe", str(path), "-m", str(given.model), "--threads", threads, "--batch", batch]
        told = json.loads(run([*mine, "--json"], COMPILED).out)
        print(f"{told['seconds']:.0f} s of sound, {len(told['segments'])} segments, {told['compute_type']}")
        direct = [sys.executable, "-c", DIRECT, str(given.model), str(path), threads, batch, told["compute_type"]]
        for number in range(given.runs):
            theirs, ours = run(direct), run(mine, COMPILED)
            same = same and theirs.out == ours.out
            ratios.add("mmcli / faster-whisper, wall", ours.seconds / theirs.seconds, most=1.05)
            ratios.add("mmcli / faster-whisper, CPU", ours.cpu / theirs.cpu)
            ratios.add("mmcli / faster-whisper, peak memory", ours.peak / theirs.peak)
            print(f"round {number + 1}: faster-whisper {theirs.seconds:.2f} s, mmcli {ours.seconds:.2f} s", flush=True)
    ratios.show()
    print("same words:", "yes" if same else "NO")


if __name__ == "__main__":
    main()

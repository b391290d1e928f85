"""`mmcli models --adopt`: pairs that other tools have are found where each of them keeps its models, and used there."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import gguf
import pytest

from mmcli import models
from mmcli.errors import ModelError, UsageError
from mmcli.models import adopted, discovery
from tests import random_llava
from tests.conftest import STARTER, Completed, Run

Put = Callable[[Path], tuple[Path, Path]]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return random_llava.write(tmp_path_factory.mktemp("files"), "tiny")


@pytest.fixture
def put(pair: tuple[Path, Path]) -> Callable[..., tuple[Path, Path]]:
    """Copy the pair into a folder under other names."""

    def put(folder: Path, weights: str, projector: str) -> tuple[Path, Path]:
        folder.mkdir(parents=True, exist_ok=True)
        return Path(shutil.copy(pair[0], folder / weights)), Path(shutil.copy(pair[1], folder / projector))

    return put


@pytest.fixture
def adopt(mmcli: Run) -> Callable[..., Completed]:
    def adopt(*arguments: str, **env: str) -> Completed:
        done = mmcli("models", "--adopt", *arguments, env=env)
        assert done.status == 0, done.stderr
        return done

    return adopt


def in_ollama(root: Path, pair: tuple[Path, Path], name: str = "library/llava/7b", mark: str = "-") -> list[Path]:
    """Both files as Ollama's layers; the projector's last, as it writes them."""
    layers, blobs = [], []
    for kind, path in zip(("model", "projector"), pair, strict=True):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        (root / "blobs").mkdir(parents=True, exist_ok=True)
        blobs.append(Path(shutil.copy(path, root / "blobs" / f"sha256{mark}{digest}")))
        media_type = f"application/vnd.ollama.image.{kind}"
        layers.append({"mediaType": media_type, "digest": f"sha256:{digest}", "size": path.stat().st_size})
    layers.insert(1, {"mediaType": "application/vnd.ollama.image.license", "digest": "sha256:" + "0" * 64, "size": 3})
    manifest = root / "manifests" / "registry.ollama.ai" / name
    manifest.parent.mkdir(parents=True, exist_ok=True)
    manifest.write_text(json.dumps({"schemaVersion": 2, "config": {}, "layers": layers}))
    return blobs


# where each tool keeps its models


def test_lm_studio_s_pair_is_used_in_place(
    mmcli: Run, adopt: Callable[..., Completed], put: Callable[..., tuple[Path, Path]], home: Path, two: Path
) -> None:
    folder = home / ".lmstudio" / "models" / "lmstudio-community" / "Toy-VL-2B-GGUF"
    files = put(folder, "Toy-VL-2B-Q4_K_M.gguf", "mmproj-Toy-VL-2B-F16.gguf")
    (row,) = adopt("--json").json
    assert (row["name"], row["place"]) == ("toy-vl-2b-q4-k-m", "LM Studio")
    assert (row["weights"], row["projector"]) == tuple(map(str, files))
    answer = mmcli("ask", two, "What?", "-m", "toy-vl-2b-q4-k-m", "--max-tokens", "3", "--json")
    assert answer.status == 0, answer.stderr
    assert answer.json["receipts"][0]["n_tokens"] == 16
    listed = {row["name"]: row for row in mmcli("models", "--json").json}["toy-vl-2b-q4-k-m"]
    assert listed["here"] is True and listed["abilities"] == "image" and "LM Studio" in listed["about"]
    assert mmcli("show", "toy-vl-2b-q4", "--json").json["place"] == "LM Studio"  # the beginning is enough
    assert sorted(folder.iterdir()) == sorted(files)  # nothing was added, moved or linked
    assert not [path for path in home.rglob("*.gguf") if path.parent != folder]


def test_ollama_s_layers_are_a_pair_by_its_manifest(
    mmcli: Run, adopt: Callable[..., Completed], pair: tuple[Path, Path], home: Path, two: Path
) -> None:
    blobs = in_ollama(home / ".ollama" / "models", pair)
    in_ollama(home / "elsewhere", pair, "library/bakllava/latest", mark=":")  # as Ollama once wrote them
    rows = adopt("--json", OLLAMA_MODELS=str(home / "elsewhere")).json
    assert {row["name"] for row in rows} == {"llava-7b", "bakllava"}
    assert all(row["place"] == "Ollama" for row in rows)
    assert {"name": "llava-7b", "weights": str(blobs[0]), "projector": str(blobs[1])}.items() <= next(
        row for row in rows if row["name"] == "llava-7b"
    ).items()
    assert mmcli("ask", two, "What?", "-m", "llava-7b", "--max-tokens", "3").status == 0


def test_llama_cpp_s_flat_folder_is_paired_by_its_names(
    adopt: Callable[..., Completed], put: Callable[..., tuple[Path, Path]], home: Path, environment: dict[str, str]
) -> None:
    cache = Path(environment["XDG_CACHE_HOME"]) / "llama.cpp"
    put(cache, "ggml-org_toy-4b-it-GGUF_toy-4b-it-Q4_K_M.gguf", "ggml-org_toy-4b-it-GGUF_mmproj-model-f16.gguf")
    put(cache, "ggml-org_toy-12b-it-GGUF_toy-12b-it-Q8_0.gguf", "ggml-org_toy-12b-it-GGUF_mmproj-model-f16.gguf")
    (cache / "manifest=ggml-org=toy-4b-it-GGUF=latest.json").write_text("{}")
    put(home / "named", "a_b-GGUF_other-Q4_0.gguf", "a_b-GGUF_mmproj-other-F16.gguf")
    rows = {row["name"]: row for row in adopt("--json", LLAMA_CACHE=str(home / "named")).json}
    assert set(rows) == {"toy-4b-it-q4-k-m", "toy-12b-it-q8-0", "other-q4-0"}
    assert rows["toy-12b-it-q8-0"]["projector"].endswith("ggml-org_toy-12b-it-GGUF_mmproj-model-f16.gguf")
    assert {row["place"] for row in rows.values()} == {"llama.cpp"}


def test_every_repository_of_the_hub_s_cache_is_looked_at(
    adopt: Callable[..., Completed], put: Callable[..., tuple[Path, Path]], home: Path
) -> None:
    snapshot = "snapshots/0123456789abcdef0123456789abcdef01234567"
    hub = home / "hf" / "hub"
    put(hub / "models--me--toy-GGUF" / snapshot, "ggml-model-Q4_0.gguf", "mmproj-model-f16.gguf")
    put(home / "llama" / "models--you--toy" / snapshot / "Q8_0", "deep-Q8_0.gguf", "mmproj-deep.gguf")
    rows = {row["name"]: row for row in adopt("--json", HF_HOME=str(home / "hf"), LLAMA_CACHE=str(home / "llama")).json}
    assert set(rows) == {"toy-gguf-ggml-model-q4-0", "deep-q8-0"}  # a name that says nothing gets its repository's
    assert {row["place"] for row in rows.values()} == {"Hugging Face"}


def as_ollama_writes(root: Path, name: str, layers: list[tuple[str, bytes]], mark: str = "-") -> dict[str, Path]:
    """A manifest as Ollama's WriteManifest writes it, with the config and the layers as blobs; their paths by kind."""
    blobs: dict[str, Path] = {}

    def layer(media_type: str, data: bytes) -> dict[str, object]:
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        path = root / "blobs" / digest.replace(":", mark)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        blobs[media_type.rpartition(".")[2]] = path
        return {"mediaType": media_type, "digest": digest, "size": len(data)}

    config = {"model_format": "gguf", "model_family": "llama", "model_families": ["llama", "clip"], "model_type": "7B"}
    document = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "config": layer("application/vnd.docker.container.image.v1+json", json.dumps(config).encode()),
        "layers": [layer(f"application/vnd.ollama.image.{kind}", data) for kind, data in layers],
    }
    manifest = root / "manifests" / name
    manifest.parent.mkdir(parents=True, exist_ok=True)
    manifest.write_text(json.dumps(document) + "\n")
    return blobs


def test_ollama_s_manifests_are_read_as_its_own_code_reads_them(
    adopt: Callable[..., Completed], pair: tuple[Path, Path], home: Path
) -> None:
    weights, projector = (path.read_bytes() for path in pair)
    text = [("template", b"{{ .Prompt }}"), ("license", b"MIT"), ("params", b'{"stop": ["USER:"]}'), ("system", b"Hi")]
    root = home / "my models"
    blobs = as_ollama_writes(
        root, "hf.co/someone/Toy-VL-GGUF/Q4_K_M", [("model", weights), ("projector", projector), *text]
    )
    # a model made from another: of two layers with weights GetModel takes the last, of two projectors the first is used
    other = weights + b"\0" * 8
    made = [("model", weights), ("model", other), ("projector", projector), ("projector", projector + b"\0")]
    as_ollama_writes(root, "registry.ollama.ai/me/made/latest", made)
    as_ollama_writes(root, "registry.ollama.ai/library/words/latest", [("model", weights), *text])  # sees nothing
    as_ollama_writes(root, "registry.ollama.ai/library/deep/er/latest", made)  # no place for a manifest
    rows = {row["name"]: row for row in adopt("--json", OLLAMA_MODELS=f' "{root}" ').json}
    assert set(rows) == {"toy-vl-gguf-q4-k-m", "made"}
    assert rows["toy-vl-gguf-q4-k-m"]["weights"] == str(blobs["model"])
    assert rows["toy-vl-gguf-q4-k-m"]["projector"] == rows["made"]["projector"] == str(blobs["projector"])
    assert Path(rows["made"]["weights"]).read_bytes() == other


def test_a_digest_may_be_written_in_every_way_that_ollama_takes(
    adopt: Callable[..., Completed], pair: tuple[Path, Path], home: Path
) -> None:
    root = home / ".ollama" / "models"
    layers = [("model", pair[0].read_bytes()), ("projector", pair[1].read_bytes())]
    as_ollama_writes(root, "registry.ollama.ai/library/llava/7b", layers)
    manifest = root / "manifests" / "registry.ollama.ai" / "library" / "llava" / "7b"
    manifest.write_text(manifest.read_text().replace("sha256:", "sha256-"))
    assert [row["name"] for row in adopt("--json").json] == ["llava-7b"]


@pytest.mark.parametrize("variable", ["LLAMA_CACHE", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", None])
@pytest.mark.parametrize("has_links", [True, False])
def test_llama_cpp_s_new_cache_is_found_by_its_own_variables(
    adopt: Callable[..., Completed], pair: tuple[Path, Path], home: Path, variable: str | None, has_links: bool
) -> None:
    """As hf-cache.cpp's get_cache_directory chooses it and finalize_file fills it."""
    environment = {variable: str(home / "cache of llama")} if variable else {"XDG_CACHE_HOME": str(home / "xdg")}
    root = home / "cache of llama" if variable else home / "xdg" / "huggingface"
    root = root / "hub" if variable in ("HF_HOME", None) else root
    repository, commit = root / "models--ggml-org--Toy-VL-GGUF", "0123456789abcdef0123456789abcdef01234567"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(commit)
    names = ("Toy-VL-Q4_K_M.gguf", "mmproj-Toy-VL-Q8_0.gguf")
    for path, name in zip(pair, names, strict=True):
        final = repository / "snapshots" / commit / name
        final.parent.mkdir(parents=True, exist_ok=True)
        blob = repository / "blobs" / hashlib.sha256(path.read_bytes()).hexdigest()
        blob.parent.mkdir(exist_ok=True)
        shutil.copy(path, blob if has_links else final)
        if has_links:
            final.symlink_to(os.path.relpath(blob, final.parent))
    (row,) = adopt("--json", **environment).json
    assert row["name"] == "toy-vl-q4-k-m"
    assert [Path(row[key]).name for key in ("weights", "projector")] == list(names)


def test_llama_cpp_s_old_names_of_files_in_folders_and_of_addresses_are_understood(
    adopt: Callable[..., Completed], put: Callable[..., tuple[Path, Path]], home: Path
) -> None:
    """common_params_handle_model: ORG/REPO and the file's path, each `/` a `_`; the bare name for --model-url."""
    root = home / ".cache" / "llama.cpp"
    put(root, "org_Deep-VL-GGUF_Q8_0_Deep-VL-Q8_0.gguf", "org_Deep-VL-GGUF_mmproj-Deep-VL-F16.gguf")
    put(root, "Bare-VL-Q4_0.gguf", "mmproj-Bare-VL-F16.gguf")
    for name in ("Bare-VL-Q4_0.gguf.json", "Bare-VL-Q4_0.gguf.etag", "New-Q4_0.gguf.downloadInProgress"):
        (root / name).write_text("{}")
    rows = {row["name"]: Path(row["projector"]).name for row in adopt("--json").json}
    assert rows == {
        "q8-0-deep-vl-q8-0": "org_Deep-VL-GGUF_mmproj-Deep-VL-F16.gguf",
        "bare-vl-q4-0": "mmproj-Bare-VL-F16.gguf",
    }


def test_lm_studio_s_own_settings_name_other_folders(
    adopt: Callable[..., Completed], put: Callable[..., tuple[Path, Path]], home: Path
) -> None:
    put(home / "moved" / "models" / "a" / "b", "b-Q4_0.gguf", "mmproj-b.gguf")
    put(home / "chosen" / "a" / "c", "c-Q4_0.gguf", "mmproj-c.gguf")
    (home / ".lmstudio-home-pointer").write_text(f"{home / 'moved'}\n")
    (home / "moved" / "settings.json").write_text(json.dumps({"downloadsFolder": str(home / "chosen")}))
    assert {row["name"] for row in adopt("--json").json} == {"b-q4-0", "c-q4-0"}


# which belongs to which


def test_a_projector_of_another_width_or_architecture_is_no_pair(
    adopt: Callable[..., Completed], put: Callable[..., tuple[Path, Path]], home: Path
) -> None:
    studio = home / ".lmstudio" / "models" / "a"
    put(studio / "wide", "wide-Q4_0.gguf", "mmproj-wide.gguf")
    shutil.copy(STARTER / "starter-mmproj.gguf", studio / "wide" / "mmproj-wide.gguf")  # of another width
    _, projector = put(studio / "kind", "kind-Q4_0.gguf", "mmproj-kind.gguf")
    data = projector.read_bytes()  # a projector made for Gemma, beside a Llama
    projector.write_bytes(data.replace(_string("mlp"), _string("gemma3")))
    done = adopt("--json")
    assert done.json == []
    told = adopt()
    assert "left out: 2 without their projector" in told.stderr


def test_llava_s_old_projectors_are_known_by_their_tensors(
    adopt: Callable[..., Completed], put: Callable[..., tuple[Path, Path]], home: Path
) -> None:
    weights, projector = put(home / ".lmstudio" / "models" / "a" / "b", "llava-Q4_0.gguf", "mmproj-model-f16.gguf")
    reader = gguf.GGUFReader(projector, "r+")
    reader.fields["clip.vision.projection_dim"].parts[-1][0] = 768  # CLIP's own, as llama.cpp's converter wrote it
    del reader
    assert models.find(str(weights)).projector == projector  # beside the weights too
    assert [row["name"] for row in adopt("--json").json] == ["llava-q4-0"]


def test_of_several_projectors_the_usual_one_is_taken(
    adopt: Callable[..., Completed], put: Callable[..., tuple[Path, Path]], home: Path
) -> None:
    folder = home / ".lmstudio" / "models" / "a" / "b"
    for quant in ("F32", "Q8_0", "F16"):
        put(folder, "toy-Q4_0.gguf", f"mmproj-toy-{quant}.gguf")
    put(folder, "toy-Q8_0.gguf", "mmproj-toy-BF16.gguf")
    rows = adopt("--json").json
    assert {Path(row["weights"]).name for row in rows} == {"toy-Q4_0.gguf", "toy-Q8_0.gguf"}
    assert {Path(row["projector"]).name for row in rows} == {"mmproj-toy-Q8_0.gguf"}


def test_a_file_of_the_catalogue_s_own_is_used_under_the_catalogue_s_name(
    mmcli: Run, adopt: Callable[..., Completed], pair: tuple[Path, Path], home: Path
) -> None:
    sha256, other = (hashlib.sha256(path.read_bytes()).hexdigest() for path in pair)
    own = home / "config" / "mmcli" / "models.toml"
    own.parent.mkdir(parents=True)
    own.write_text(
        '[toy]\nabout = "mine"\nrepo = "a/b"\nlicence = "MIT"\nsees = true\nsampling = { temperature = 0 }\n'
        f'revision = "{"1" * 40}"\n'
        f'weights = {{ file = "a.gguf", bytes = {pair[0].stat().st_size}, sha256 = "{sha256}" }}\n'
        f'projector = {{ file = "b.gguf", bytes = {pair[1].stat().st_size}, sha256 = "{other}" }}\n'
    )
    assert {row["name"]: row for row in mmcli("models", "--json").json}["toy"]["here"] is False
    in_ollama(home / ".ollama" / "models", pair)
    in_ollama(home / "other", pair, "library/copy/latest")
    names = {row["name"] for row in adopt("--json", OLLAMA_MODELS=str(home / "other")).json}
    assert names == {"toy", "llava-7b"}  # the second copy is called as Ollama calls it
    assert [row["here"] for row in mmcli("models", "--json").json if row["name"] == "toy"] == [True]
    pulled = mmcli("pull", "toy")
    assert (pulled.status, "already" in pulled.stderr) == (0, True)
    said = [mmcli("ask", "What?", "-m", "toy", "--max-tokens", "6", "--no-loop-guard").stdout for _ in range(2)]
    assert said[0] == said[1]  # temperature 0, as the entry advises
    assert mmcli("rm", "toy", "--yes", "--json").json["forgotten"] == ["toy"]
    assert [row["here"] for row in mmcli("models", "--json").json if row["name"] == "toy"] == [False]


# strangers' files


def test_broken_and_hostile_files_are_passed_over_with_a_count(
    adopt: Callable[..., Completed], put: Callable[..., tuple[Path, Path]], pair: tuple[Path, Path], home: Path
) -> None:
    studio = home / ".lmstudio" / "models" / "a"
    put(studio / "good", "good-Q4_0.gguf", "mmproj-good.gguf")
    bad = studio / "bad"
    bad.mkdir()
    (bad / "cut.gguf").write_bytes(pair[0].read_bytes()[:500])
    (bad / "text.gguf").write_text("<html>\x1b]0;owned\x07")
    (bad / "empty\x1b[31m.gguf").write_bytes(b"")
    huge = bytearray(pair[0].read_bytes())
    huge[8:16] = (1 << 62).to_bytes(8, "little")  # tensors
    (bad / "mmproj-huge.gguf").write_bytes(huge)
    os.mkfifo(bad / "pipe.gguf")  # whoever opens it waits for ever
    (bad / "loop").symlink_to(bad)
    (bad / "dangling.gguf").symlink_to(bad / "nowhere.gguf")
    ollama = home / ".ollama" / "models"
    for name, text in {
        "bad/1": "{",
        "bad/2": "[]",
        "bad/3": '{"layers": [null, {"mediaType": "application/vnd.ollama.image.model", "digest": "../../x"}]}',
        "bad/4": "[" * 100_000,
        "bad/5": '{"layers": {"a": 1}}',
    }.items():
        manifest = ollama / "manifests" / "host" / "library" / name
        manifest.parent.mkdir(parents=True, exist_ok=True)
        manifest.write_text(text)
    done = adopt()
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == ["good-q4-0"]
    assert "skipped: 4 that cannot be read" in done.stderr
    assert "\x1b" not in done.stdout + done.stderr


def test_a_folder_that_may_not_be_read_is_no_trouble(
    adopt: Callable[..., Completed], put: Callable[..., tuple[Path, Path]], home: Path
) -> None:
    put(home / ".lmstudio" / "models" / "a" / "b", "b-Q4_0.gguf", "mmproj-b.gguf")
    closed = home / ".lmstudio" / "models" / "closed"
    closed.mkdir(mode=0)
    try:
        assert [row["name"] for row in adopt("--json").json] == ["b-q4-0"]
    finally:
        closed.chmod(stat.S_IRWXU)


def test_parts_that_are_missing_are_told(
    adopt: Callable[..., Completed], put: Callable[..., tuple[Path, Path]], home: Path
) -> None:
    put(home / ".lmstudio" / "models" / "a" / "b", "b-Q4_0-00001-of-00002.gguf", "mmproj-b.gguf")
    done = adopt()
    assert (done.stdout, "left out: 1" in done.stderr) == ("", True)


# remembering


def test_what_vanished_is_told_then_forgotten(
    mmcli: Run, adopt: Callable[..., Completed], put: Callable[..., tuple[Path, Path]], home: Path
) -> None:
    files = put(home / ".lmstudio" / "models" / "a" / "b", "b-Q4_0.gguf", "mmproj-b.gguf")
    adopt()
    files[1].unlink()
    done = mmcli("ask", "What?", "-m", "b-q4-0")
    assert (done.status, "is gone" in done.stderr, str(files[1]) in done.stderr) == (4, True, True)
    assert "mmcli models --adopt" in done.stderr
    listed = {row["name"]: row for row in mmcli("models", "--json").json}["b-q4-0"]
    assert (listed["here"], "gone from LM Studio" in listed["about"]) == (False, True)
    assert "b-q4-0 is gone" in adopt().stderr
    assert mmcli("ask", "What?", "-m", "b-q4-0").status == 4


def test_names_stay_and_what_lies_outside_of_the_known_places_is_kept(
    adopt: Callable[..., Completed], put: Callable[..., tuple[Path, Path]], home: Path
) -> None:
    put(home / ".lmstudio" / "models" / "a" / "b", "b-Q4_0.gguf", "mmproj-b.gguf")
    put(home / "named" / "models--x--y" / "snapshots" / "1", "b-Q4_0.gguf", "mmproj-b.gguf")
    first = {row["weights"]: row["name"] for row in adopt("--json", LLAMA_CACHE=str(home / "named")).json}
    assert sorted(first.values()) == ["b-q4-0", "b-q4-0-lm-studio"]
    assert {row["weights"]: row["name"] for row in adopt("--json").json} == first


def test_a_damaged_list_is_told_and_written_anew(
    mmcli: Run, adopt: Callable[..., Completed], put: Callable[..., tuple[Path, Path]], home: Path
) -> None:
    put(home / ".lmstudio" / "models" / "a" / "b", "b-Q4_0.gguf", "mmproj-b.gguf")
    adopt()
    (path,) = home.rglob("adopted.json")
    assert not list(path.parent.glob("*.tmp"))
    for text in ("{", "[]", '{"version": 1, "models": [{"name": 3}]}', "[" * 100_000):
        path.write_text(text)
        done = mmcli("ask", "What?", "-m", "b-q4-0")
        assert (done.status, "--adopt" in done.stderr) == (2, True)
        assert mmcli("show", "starter").status == 0  # which needs no look into it
    assert [row["name"] for row in adopt("--json").json] == ["b-q4-0"]


def test_with_nothing_there_nothing_is_said_to_be(adopt: Callable[..., Completed]) -> None:
    done = adopt()
    assert (done.stdout, "no other tool" in done.stderr) == ("", True)


def test_a_search_reads_no_more_than_headers(
    put: Callable[..., tuple[Path, Path]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MMCLI_DATA_DIR", str(tmp_path / "data"))
    weights, _ = put(tmp_path / ".lmstudio" / "models" / "a" / "b", "b-Q4_0.gguf", "mmproj-b.gguf")
    with weights.open("r+b") as file:
        file.truncate(200 << 30)  # a hole of 200 GB: reading it would take minutes
    found = discovery.search({}, lambda name: False)
    assert [model.weights for model in found.models] == [weights]


def test_the_list_holds_only_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMCLI_DATA_DIR", str(tmp_path))
    assert adopted.load() == {}
    one = adopted.Adopted("a", "Ollama", tmp_path / "w", tmp_path / "p", True, False)
    adopted.save([one])
    assert adopted.load() == {"a": one}
    assert one.gone == one.weights
    with pytest.raises(ModelError, match="gone"):
        models.find("a")
    adopted.forget("a")
    assert adopted.load() == {}
    adopted.file().write_text("{")
    with pytest.raises(UsageError, match="adopted.json"):
        adopted.load()


def _string(text: str) -> bytes:
    return len(text).to_bytes(8, "little") + text.encode()

"""Runs `uv sync`, and shows how far the compiler is: uv itself is silent for minutes. Needs nothing but Python 3.8.

    python3 scripts/building.py LOG uv sync ...

With --verbose uv passes on what the build says, and Ninja counts: `[12/383] Building CXX object ...`. All of it goes to
LOG; what uv says without --verbose goes on to stderr. Where nothing is counted, the minutes are; the build is the same.
"""

import os
import re
import signal
import subprocess
import sys
import threading
import time

COUNT = re.compile(r"^DEBUG +\[(\d+)/(\d+)\] ")
BEGINS = re.compile(r"^ +Building (\S+)")
WAITS = re.compile(r"^DEBUG Waiting to acquire (?:exclusive )?lock for `.*(?:sdists|builds)")
CHATTER = re.compile(r"^(?:DEBUG|TRACE|INFO)\b")
EVERY = 30  # seconds between two lines where there is no terminal to redraw one on


class Progress:
    """What is being done, on one line that is redrawn."""

    def __init__(self):
        self.is_terminal = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self.began = self.counted = self.said = time.monotonic()
        self.what = "setting up: resolving and downloading packages"
        self.done = self.total = 0
        self.lock = threading.Lock()
        self.is_over = threading.Event()
        self.drawn = 0

    def feed(self, line):
        """Take one line of uv's."""
        count, begins = COUNT.match(line), BEGINS.match(line)
        with self.lock:
            if count:
                done, total = int(count[1]), int(count[2])
                if total != self.total or done < self.done:  # another build begins
                    self.counted = time.monotonic()
                self.done, self.total = done, total
            elif begins and not begins[1].startswith("mmcli"):
                self.what = "compiling " + re.split(r"[=@]", begins[1])[0]
                self.done = self.total = 0
            elif WAITS.match(line):
                self.what = "waiting for another process that compiles the same"

    def text(self):
        """`compiling llama-cpp-python: 120 of 383, 2 min 10 s so far, about 4 min left`"""
        now = time.monotonic()
        parts = [self.what + (f": {self.done} of {self.total}" if self.total else "")]
        if now - self.began >= 3:
            parts.append(f"{minutes(now - self.began)} so far")
        if self.total and self.done > 5 and now - self.counted > 10:
            left = (now - self.counted) / self.done * (self.total - self.done)
            parts.append(f"about {minutes(left)} left")
        return ", ".join(parts)

    def run(self):
        """Show it until `is_over`."""
        while not self.is_over.wait(1):
            with self.lock:
                if self.is_terminal:
                    self._draw(self.text())
                elif time.monotonic() - self.said >= EVERY:
                    self.said = time.monotonic()
                    sys.stderr.write(self.text() + "\n")
                    sys.stderr.flush()

    def pass_on(self, line):
        """A line of uv's own, above the one that is redrawn."""
        with self.lock:
            self._draw("")
            sys.stderr.write(line)
            sys.stderr.flush()

    def _draw(self, text):
        if self.is_terminal and (text or self.drawn):
            width = max(20, os.get_terminal_size(sys.stderr.fileno()).columns - 1)
            text = text[:width]
            sys.stderr.write("\r" + text + " " * (self.drawn - len(text)) + ("" if text else "\r"))
            sys.stderr.flush()
            self.drawn = len(text)


def minutes(seconds):
    """`45 s`, `2 min 10 s`, `14 min`"""
    seconds = int(seconds)
    if seconds < 60:
        return f"{seconds} s"
    return f"{seconds // 60} min" + (f" {seconds % 60} s" if seconds < 600 else "")


def main():
    """Run the command; end with its status."""
    log_name, command = sys.argv[1], sys.argv[2:]
    progress = Progress()
    with open(log_name, "a", encoding="utf-8", errors="replace") as log:
        process = subprocess.Popen(
            command + ["--verbose"],
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr,
            stderr=subprocess.PIPE,
            env=dict(os.environ, UV_NO_PROGRESS="1"),
            encoding="utf-8",
            errors="replace",
        )
        shower = threading.Thread(target=progress.run, daemon=True)
        shower.start()
        try:
            for line in process.stderr:
                log.write(line)
                progress.feed(line)
                if not CHATTER.match(line):
                    progress.pass_on(line)
            status = process.wait()
        except KeyboardInterrupt:  # from the terminal, and so uv has got it too
            process.wait()
            status = 130
        finally:
            if process.poll() is None:
                process.terminate()
            progress.is_over.set()
            shower.join()
            progress.pass_on("")
    if status not in (0, 130):
        sys.stderr.write(f"hint: the whole story is in {log_name}\n")
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main())

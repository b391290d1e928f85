"""--offline: nothing of this process leaves the machine, and what is on it works without one connection."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.main import get_command

from mmcli import main
from tests import random_llava
from tests.conftest import Run
from tests.hub import Hub

REPO = "tests/Tiny-GGUF"
FAR = "192.0.2.1"  # RFC 5737: nobody's
COUNTER = """
import sys
count = 0
def hook(event, args):
    global count
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto", "socket.gethostbyname"):
        count += 1
sys.addaudithook(hook)
"""


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with Hub() as running:
        running.add(REPO, *random_llava.write(tmp_path / "files", "tiny"))
        yield running


def guarded(code: str, environment: dict[str, str]) -> str:
    """What a program prints that forbids connections first."""
    code = f"import socket, _socket\nfrom mmcli import offline\noffline.forbid()\n{code}"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    "call",
    [
        f"socket.create_connection(('{FAR}', 80), timeout=5)",
        "socket.create_connection(('nowhere.example', 80))",
        f"socket.socket().connect(('{FAR}', 80))",
        f"socket.socket().connect_ex(('{FAR}', 80))",
        "socket.socket().connect(('nowhere.example', 80))",  # its name must not be asked for either
        f"_socket.socket().connect(('{FAR}', 80))",  # past the class that everybody uses
        "socket.socket(socket.AF_INET6).connect(('2001:db8::1', 80))",
        "socket.socket(socket.AF_INET6).connect(('::ffff:192.0.2.1', 80))",
        "socket.getaddrinfo('nowhere.example', 80)",
        "socket.getaddrinfo(b'nowhere.example', 80)",
        "socket.gethostbyname('nowhere.example')",
        f"socket.gethostbyaddr('{FAR}')",
        f"socket.getnameinfo(('{FAR}', 80), 0)",
        f"socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('{FAR}', 53))",
        f"socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', 0, ('{FAR}', 53))",
        "socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('nowhere.example', 53))",
        f"socket.socket(type=socket.SOCK_DGRAM).sendmsg([b'x'], [], 0, ('{FAR}', 53))",
        "socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).sendto(b'x', ('2001:db8::1', 53))",
        "__import__('httpx2').get('https://nowhere.example/')",
        "__import__('urllib.request').request.urlopen('http://nowhere.example/')",
        "__import__('huggingface_hub').HfApi(endpoint='https://nowhere.example').model_info('a/b')",
        "__import__('asyncio').run(__import__('asyncio').open_connection('nowhere.example', 80))",
    ],
)
def test_no_way_out_is_left(call: str, environment: dict[str, str]) -> None:
    assert "no connection to `" in guarded(call, environment)


def test_this_machine_itself_can_be_reached(environment: dict[str, str], hub: Hub) -> None:
    code = (
        "import urllib.request; print(socket.getaddrinfo('localhost', 80) != []);"
        f"print(urllib.request.urlopen('{hub.address}/api/models/{REPO}').status);"
        "a, b = socket.socketpair(); a.sendall(b'x'); print(b.recv(1))"
    )
    assert guarded(code, environment).split() == ["True", "200", "b'x'"]


def test_a_proxy_on_this_machine_does_not_carry_anything_out(environment: dict[str, str], hub: Hub) -> None:
    environment = environment | {"HTTP_PROXY": hub.address, "ALL_PROXY": hub.address, "https_proxy": hub.address}
    for library in ("__import__('httpx2').get", "__import__('urllib.request').request.urlopen"):
        assert "no connection to `nowhere.example`" in guarded(f"{library}('http://nowhere.example/')", environment)
    assert hub.log == []


@pytest.mark.parametrize("name", get_command(main.app).commands)
def test_every_command_takes_it(name: str) -> None:
    assert "--offline" in {option for param in get_command(main.app).commands[name].params for option in param.opts}


@pytest.mark.parametrize(
    ("arguments", "env", "who"),
    [
        (("--offline",), {}, "--offline"),
        ((), {"MMCLI_OFFLINE": "1"}, "MMCLI_OFFLINE"),
        ((), {"HF_HUB_OFFLINE": "1"}, "HF_HUB_OFFLINE"),
    ],
)
def test_what_needs_a_connection_says_who_forbids_it(
    mmcli: Run, hub: Hub, tmp_path: Path, arguments: tuple[str, ...], env: dict[str, str], who: str
) -> None:
    env = env | hub.environment(tmp_path / "hf")
    for command in (("pull", REPO), ("ask", "What?", "-m", REPO, "--yes"), ("ask", f"http://{FAR}/a.png", "What?")):
        done = mmcli(*command, *arguments, env=env | {"MMCLI_MODEL": "starter"} if len(command) == 3 else env)
        assert (done.status, done.stdout) == (5, ""), done.stderr
        assert f"{who} forbids connections" in done.stderr and "hint:" in done.stderr
    assert hub.log == []


def test_config_toml_can_ask_for_it(mmcli: Run, home: Path) -> None:
    config = home / "config" / "mmcli" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text("offline = true")
    assert mmcli("pull", "smolvlm-256m").status == 5


def test_a_cached_model_answers_without_one_connection(
    mmcli: Run, hub: Hub, tmp_path: Path, environment: dict[str, str], two: Path
) -> None:
    env = hub.environment(tmp_path / "hf")
    assert mmcli("pull", REPO, env=env).status == 0
    hub.log.clear()
    done = mmcli("ask", two, "What?", "-m", REPO, "--max-tokens", "3", "--offline", "-v", env=env)
    assert done.status == 0 and done.stdout
    assert "no connection left this machine" in done.stderr
    # the same without --offline: nothing tries
    run = f"import os\nsys.stdin = open(os.devnull)\nfrom mmcli import main\nfor line in {_lines(two)}:\n    "
    run += "assert main.run(line) == 0\nprint('connections:', count)"
    counted = subprocess.run(
        [sys.executable, "-c", COUNTER + run], env=environment | env, cwd=tmp_path, capture_output=True, text=True
    )
    assert counted.stdout.splitlines()[-1:] == ["connections: 0"], counted.stdout + counted.stderr
    assert hub.log == []


def _lines(picture: Path) -> list[list[str]]:
    return [
        ["ask", str(picture), "What?", "-m", REPO, "--max-tokens", "3"],
        ["pull", REPO],
        ["models"],
        ["show", REPO],
        ["demo"],
    ]

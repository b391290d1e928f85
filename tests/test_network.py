"""Connections in trouble, to the Hub and to addresses: one sentence each, one deadline, and an end on demand."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mmcli import network
from mmcli.errors import NetworkError
from mmcli.media import web
from tests import proxies, random_llava
from tests.conftest import TIMEOUT, Completed, Run
from tests.hub import Hub

REPO = "tests/Tiny-GGUF"
AWAY = "http://127.0.0.1:9"  # nobody listens there
SYSTEM_WORDS = (
    "Errno",
    "errno",
    "Traceback",
    "Warning",
    "warnings.warn",
    "literal",
    "codec",
    "Error importing",
    "URL(",
)
FAR = "http://hub.invalid"


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*network.PROXIES, "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with Hub() as running:
        running.add(REPO, *random_llava.write(tmp_path / "files", "tiny"))
        yield running


def sentence(done: Completed, status: int = 5) -> str:
    """The only error line of a run that printed nothing else, but for its hint and notes of ours."""
    assert (done.status, done.stdout) == (status, ""), done.stderr
    lines = done.stderr.splitlines()
    assert all(line.startswith(("error: ", "hint: ", "note: ")) for line in lines), done.stderr
    assert not any(word in done.stderr for word in SYSTEM_WORDS), done.stderr
    (line,) = (line for line in lines if line.startswith("error: "))
    return line.removeprefix("error: ")


def changed(change: str, *arguments: str, env: dict[str, str]) -> Completed:
    """Run mmcli with another constant in models/hub.py: its waits are minutes."""
    code = (
        f"import sys\nfrom mmcli import main\nfrom mmcli.models import hub\n{change}\nsys.exit(main.run(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT)
    return Completed(done.returncode, done.stdout, done.stderr)


# what the Hub's variables may hold


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"HF_ENDPOINT": "http://no-such-host.invalid"}, "http://no-such-host.invalid: its host name is not known"),
        ({"HF_ENDPOINT": AWAY}, f"cannot reach {AWAY}: the connection was refused"),
        ({"HF_ENDPOINT": "huggingface.co"}, "HF_ENDPOINT is `huggingface.co`, which is not an http:// or https://"),
        ({"HF_ENDPOINT": "http://[::1"}, "HF_ENDPOINT is `http://[::1`, which is not"),
        ({"HF_ENDPOINT": "ftp://example.org"}, "HF_ENDPOINT is `ftp://example.org`, which is not"),
        ({"HF_HUB_DOWNLOAD_TIMEOUT": "ten"}, "HF_HUB_DOWNLOAD_TIMEOUT is `ten`, which is not a number of seconds"),
        ({"HF_HUB_DOWNLOAD_TIMEOUT": "-1"}, "HF_HUB_DOWNLOAD_TIMEOUT is `-1`"),
        ({"HF_HUB_ETAG_TIMEOUT": "nan"}, "HF_HUB_ETAG_TIMEOUT is `nan`"),
        ({"HF_TOKEN": "hf_äöü"}, "the token for the Hub contains invalid characters"),
        ({"HF_TOKEN": "hf_a b"}, "the token for the Hub contains invalid characters"),
        ({"HF_OIDC_RESOURCE": "x"}, "cannot get a token for the Hub"),
        ({"HTTP_PROXY": "socks4://127.0.0.1:9"}, "HTTP_PROXY is `socks4://127.0.0.1:9`, which is not the address of a"),
        ({"https_proxy": "foo://me:s3cret@127.0.0.1"}, "https_proxy is `foo://127.0.0.1`, which is not"),
        ({"ALL_PROXY": "http://[bad"}, "ALL_PROXY is `http://[bad`, which is not"),
        ({"SSL_CERT_FILE": "/none.pem"}, "SSL_CERT_FILE is `/none.pem`, but there is no such file"),
        ({"SSL_CERT_FILE": __file__}, f"SSL_CERT_FILE is `{__file__}`, which holds no certificates"),
    ],
    ids=lambda value: next(iter(value.items())) if isinstance(value, dict) else "",
)
def test_a_variable_that_cannot_be_used_is_one_sentence(
    mmcli: Run, hub: Hub, tmp_path: Path, variables: dict[str, str], told: str
) -> None:
    done = mmcli("pull", REPO, env=hub.environment(tmp_path / "hf") | variables)
    assert told in sentence(done)
    assert "arrived" not in done.stderr and "s3cret" not in done.stderr
    assert "same command again" not in done.stderr


@pytest.mark.parametrize(
    "variables",
    [
        {"HF_HUB_ENABLE_HF_TRANSFER": "1"},
        {"HF_DEBUG": "1"},
        {"HF_HUB_VERBOSITY": "loud"},
        {"HF_HUB_DOWNLOAD_TIMEOUT": "7.5"},
        {"SSLKEYLOGFILE": "/none/keys"},
        {"SSL_CERT_FILE": ""},
    ],
    ids=lambda variables: next(iter(variables)),
)
def test_a_variable_of_the_library_s_makes_nobody_else_talk(
    mmcli: Run, hub: Hub, tmp_path: Path, variables: dict[str, str]
) -> None:
    done = mmcli("pull", REPO, "-q", env=hub.environment(tmp_path / "hf") | variables)
    assert (done.status, done.stdout, done.stderr) == (0, "", "")


def test_a_bad_variable_of_the_hub_s_hinders_nothing_that_needs_no_connection(mmcli: Run, speech_model: Path) -> None:
    bad = {"HF_HUB_DOWNLOAD_TIMEOUT": "ten", "HF_ENDPOINT": "x", "HF_HUB_ENABLE_HF_TRANSFER": "1", "HF_TOKEN": "ä"}
    done = mmcli("transcribe", "none.wav", "-m", str(speech_model), env=bad)
    assert (done.status, done.stderr.splitlines()) == (3, ["error: no file named `none.wav`"])
    assert mmcli("doctor", "-m", str(speech_model), "--json", env=bad).json["status"] == 0


def test_an_empty_place_is_not_the_working_folder(mmcli: Run, hub: Hub, tmp_path: Path, home: Path) -> None:
    done = mmcli("pull", REPO, env=hub.environment(tmp_path) | {"HF_HOME": "", "HF_HUB_CACHE": ""})
    assert done.status == 0, done.stderr
    assert not (tmp_path / "hub").exists()
    assert list((home / "cache" / "huggingface" / "hub").glob("models--*/snapshots/*/*.gguf"))


# what a Hub may answer


def test_a_404_without_a_reason_asks_for_the_name_and_not_for_patience(mmcli: Run, hub: Hub, tmp_path: Path) -> None:
    hub.faults.described = [(404, {})] * 9
    done = mmcli("pull", REPO, env=hub.environment(tmp_path / "hf"))
    assert sentence(done) == f"{hub.address} answered 404 for `{REPO}`"
    assert "check the name" in done.stderr and "same command again" not in done.stderr


def test_an_answer_that_is_no_json_is_told(mmcli: Run, hub: Hub, tmp_path: Path) -> None:
    hub.faults.described = [(200, {"Content-Type": "text/html"})] * 9
    assert "makes no sense" in sentence(mmcli("pull", REPO, env=hub.environment(tmp_path / "hf")))


def test_what_has_arrived_is_told_only_where_something_has(
    hub: Hub, tmp_path: Path, environment: dict[str, str]
) -> None:
    impatient = "hub.WAITS = ()"
    how = environment | hub.environment(tmp_path / "hf")
    hub.faults.answers = [(503, {})] * 2
    told = changed(impatient, "pull", REPO, env=how)
    assert "answered 503" in sentence(told) and "arrived" not in told.stderr
    hub.faults.answers, hub.faults.cut_after = [], [90_000]
    told = changed(impatient, "pull", REPO, env=how)
    assert told.status == 5 and "run the same command again: what has been downloaded is kept" in told.stderr


# proxies


def test_a_socks_proxy_leads_to_the_hub_and_to_a_picture(mmcli: Run, hub: Hub, tmp_path: Path) -> None:
    port = hub.address.rpartition(":")[2]
    with proxies.socks_proxy() as (address, asked):
        how = {"HF_ENDPOINT": f"{FAR}:{port}", "HF_HOME": str(tmp_path / "hf"), "HTTP_PROXY": address}
        done = mmcli("pull", REPO, env=how)
        assert done.status == 0, done.stderr
        assert "hub.invalid" in asked
        done = mmcli(
            "pull", "tests/none", env=how | {"HTTP_PROXY": address.replace("socks5", "socks")}
        )  # as GNOME has it
        assert "no public repository" in done.stderr
    done = mmcli("ask", f"{FAR}/a.png", "What?", "-m", "starter", env={"ALL_PROXY": address})
    assert f"the proxy `{address}` cannot be reached: the connection was refused" in sentence(done)


@pytest.mark.parametrize(
    ("command", "far"),
    [
        (("pull", REPO), FAR),
        (("pull", REPO), FAR.replace("http", "https")),
        (("ask", f"{FAR}/a.png", "What?", "-m", "starter"), FAR),
    ],
)
def test_a_proxy_that_wants_a_login_is_told(mmcli: Run, command: tuple[str, ...], far: str) -> None:
    with proxies.http_proxy(407) as address:
        env = {"HF_ENDPOINT": far, "HTTP_PROXY": address, "HTTPS_PROXY": address}
        done = mmcli(*command, env=env)
    told = sentence(done)
    assert "login" in done.stderr and ("407" in told or "proxy" in told), told


def test_a_proxy_that_is_away_is_what_cannot_be_reached(mmcli: Run) -> None:
    for value in ("127.0.0.1:9", "http://me:s3cret@127.0.0.1:9", "socks5://127.0.0.1:9"):
        done = mmcli("pull", REPO, env={"HF_ENDPOINT": FAR, "HTTP_PROXY": value})
        assert f"cannot reach {FAR}: the proxy `{value.replace('me:s3cret@', '')}` cannot be reached" in sentence(done)


def test_a_socks_proxy_that_reaches_nobody_is_told(mmcli: Run) -> None:
    with proxies.socks_proxy() as (address, _):
        done = mmcli("pull", REPO, env={"HF_ENDPOINT": "http://127.0.0.1:9", "HTTP_PROXY": address})
    assert "the proxy refused, or could not reach it" in sentence(done)


@pytest.mark.parametrize("url", [f"http://{'a' * 70}.com/", "http://a..b/", "http://.a/x.png"])
def test_a_host_that_can_be_none_is_an_address_that_is_not_valid(mmcli: Run, url: str) -> None:
    assert "is not a valid address" in sentence(mmcli("ask", url, "What?", "-m", "starter"), 3)


# one deadline for all of an answer


def test_a_head_that_never_ends_has_the_same_deadline() -> None:
    with proxies.trickling() as address, pytest.raises(NetworkError, match="too slow: 0 bytes"):
        web.fetch(f"{address}/a.png", total_seconds=0.5)


def test_the_hub_has_one_too(tmp_path: Path, environment: dict[str, str]) -> None:
    with proxies.trickling() as address:
        how = environment | {"HF_ENDPOINT": address, "HF_HOME": str(tmp_path / "hf")}
        told = sentence(changed("hub.TOTAL_SECONDS = 0.5", "pull", REPO, env=how))
    assert told == f"cannot reach {address}: it is too slow"


def test_what_is_stopped_ends_though_it_waits_for_bytes() -> None:
    stop = threading.Event()
    with proxies.trickling() as address:
        threading.Timer(0.3, stop.set).start()
        with pytest.raises(network.DownloadStopped):
            web.fetch(f"{address}/a.png", stop=stop)
        for _ in range(200):  # the thread that read ends, too: its socket is shut
            if not any(thread.name == "transfer" for thread in threading.enumerate()):
                break
            time.sleep(0.02)
        else:
            raise AssertionError("it still reads")


@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT")
@pytest.mark.parametrize("command", [["caption", "-m", "starter"], ["transcribe", "-m", "starter"]])
def test_the_first_ctrl_c_ends_a_download(environment: dict[str, str], tmp_path: Path, command: list[str]) -> None:
    with proxies.trickling() as address:
        process = subprocess.Popen(
            [sys.executable, "-m", "mmcli", *command, f"{address}/a.png"],
            env=environment,
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        time.sleep(0.1)
        for _ in range(600):  # once it reads, Ctrl-C has nothing to wait for
            if _is_connected(process.pid):
                break
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        try:
            _, told = process.communicate(timeout=30)  # the server would go on for ever
        finally:
            process.kill()
    assert process.returncode == 130, told.decode()
    assert b"error" not in told


def _is_connected(pid: int) -> bool:
    import psutil

    try:
        return any(one.raddr and one.status == psutil.CONN_ESTABLISHED for one in psutil.Process(pid).net_connections())
    except psutil.Error:
        return False


def test_work_within_time_gives_its_result_and_raises_its_errors() -> None:
    def fail(connections: network.Connections) -> None:
        raise ValueError("its own")

    assert network.within(5, lambda connections: 7) == 7
    with pytest.raises(ValueError, match="its own"):
        network.within(5, fail)
    with pytest.raises(network.TooSlow):
        network.within(0.05, lambda connections: time.sleep(1))

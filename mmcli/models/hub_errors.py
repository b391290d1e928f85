"""Translates errors of the Hub and the network into one sentence with a next step."""

from __future__ import annotations

import os
from typing import Any

from mmcli import hubenv, network
from mmcli.errors import MmcliError, ModelError, NetworkError, ResourceError
from mmcli.models import cache


def again(repo: str) -> str:
    """Advice for what may pass by itself; that nothing is lost is said only where something has arrived."""
    kept = ": what has been downloaded is kept" if _has_arrived(repo) else ""
    return f"run the same command again{kept}"


def _has_arrived(repo: str) -> bool:
    try:
        return any(path.stat().st_size for path in (cache.folder(repo) / "blobs").iterdir())
    except OSError:
        return False


def unwritable(error: OSError) -> ResourceError:
    """The cache's disk cannot be written to."""
    return ResourceError(
        f"cannot write into `{cache.root()}`: {error.strerror or error}",
        hint="free some space, or set HF_HOME to another folder",
    )


def token(hub: Any) -> str | bool:
    """The person's token, or False; NetworkError where it cannot be sent, or cannot be had. No message shows it."""
    try:
        found: str | None = hub.get_token()
    except NotADirectoryError:  # HF_HOME leads nowhere: writing will say so
        return False
    except Exception as error:  # a file that cannot be read, an exchange of tokens that fails: the library has many
        if os.environ.get("HF_OIDC_RESOURCE"):
            hint = "HF_OIDC_RESOURCE asks for one from the CI service: unset it, or set HF_TOKEN"
        else:
            hint = f"look at the file `{hub.constants.HF_TOKEN_PATH}`, or set HF_TOKEN"
        raise NetworkError("cannot get a token for the Hub", hint=hint) from error
    if found and not all("!" <= character <= "~" for character in found):
        raise NetworkError(
            "the token for the Hub contains invalid characters",
            hint=f"set HF_TOKEN to one from {hubenv.endpoint()}/settings/tokens: hf_, letters and digits",
        )
    return found or False


def explain(error: Exception, repo: str, file: str | None) -> MmcliError:
    """The sentence a user needs for what huggingface_hub or the network raised."""
    from huggingface_hub import errors as hub

    if isinstance(error, MmcliError):
        return error
    address = hubenv.endpoint()
    if isinstance(error, hub.GatedRepoError):
        return NetworkError(
            f"`{repo}` is gated: its makers ask for their terms to be accepted first",
            hint=f"accept them at {address}/{repo}, then set HF_TOKEN to a token of that account",
        )
    if isinstance(error, hub.RepositoryNotFoundError):
        return NetworkError(
            f"the Hub has no public repository `{repo}`", hint="check the name; for a private one set HF_TOKEN"
        )
    if isinstance(error, hub.RevisionNotFoundError):
        return NetworkError(f"`{repo}` no longer has the requested revision", hint=f"see {address}/{repo}")
    if isinstance(error, hub.EntryNotFoundError) and not isinstance(error, hub.LocalEntryNotFoundError):
        return NetworkError(f"`{repo}` has no file `{file}`", hint=f"see {address}/{repo}/tree/main")
    if isinstance(error, hub.HFValidationError):
        return ModelError(
            f"`{repo}` is not a valid name of a repository on the Hub", hint="names look like ORGANISATION/NAME"
        )
    response = getattr(error, "response", None)
    if response is not None:
        return _refused(response, repo)
    if isinstance(error, OSError) and error.errno is not None and not isinstance(error, ConnectionError):
        return unwritable(error)
    return _unreached(error, repo, address)


def _refused(response: Any, repo: str) -> NetworkError:
    """The Hub, or a proxy before it, answered with an error's status."""
    status = response.status_code
    if status == 429:
        asked = response.headers.get("Retry-After", "")
        when = f"in {asked} seconds" if asked.isdigit() else "in a few minutes"
        return NetworkError("the Hub asks to slow down (429)", hint=f"try again {when}; HF_TOKEN raises the limit")
    if status in (401, 403):
        return NetworkError(f"the Hub denies access to `{repo}` ({status})", hint="check HF_TOKEN")
    if status == 407:
        hint = "HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT"
        return NetworkError("the proxy on the way to the Hub requires a login (407)", hint=hint)
    if status in (408, 500, 502, 503, 504):
        return NetworkError(f"the Hub answered {status} for `{repo}`", hint=again(repo))
    return NetworkError(
        f"{hubenv.endpoint()} answered {status} for `{repo}`", hint="check the name, and HF_ENDPOINT if you set it"
    )


def _unreached(error: Exception, repo: str, address: str) -> NetworkError:
    import httpx2

    if isinstance(error, httpx2.HTTPError | httpx2.InvalidURL | ImportError | network.TooSlow | OSError):
        kept = f"; {again(repo)}" if _has_arrived(repo) else ""
        return NetworkError(
            f"cannot reach {address}: {network.reason(error, address)}",
            hint=f"check the connection (HF_ENDPOINT, HTTPS_PROXY){kept}",
        )
    return NetworkError(f"{address} gave an answer about `{repo}` that makes no sense", hint="check HF_ENDPOINT")

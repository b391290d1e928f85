# What scripts/mmcli, scripts/test and .ci/run share: a compiler, uv, and the clone's environment with llama.cpp in it.
# Source it. Nothing here prints on stdout; all that it installs for itself is in .tools/ of this clone.
# Written for bash 3.2 and newer: macOS has no other.

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
tools="$root/.tools"
log="$tools/setup.log"

say() { printf '%s\n' "$*" >&2; }

fail() { # MESSAGE HINT: like mmcli's own errors, with the shell's status for a program that is missing
  say "error: $1"
  say "hint: $2"
  exit 127
}

# Programs

has_compiler() {
  if [ "$(uname)" = Darwin ]; then
    xcode-select -p >/dev/null 2>&1 # cc is always there, as a stub that opens a window
  else
    command -v "${CC:-cc}" >/dev/null && command -v "${CXX:-c++}" >/dev/null
  fi
}

has_llama() { compgen -G "$root/.venv/lib/python*/site-packages/llama_cpp/__init__.py" >/dev/null; }

can_make_environments() { python3 -c "import ensurepip, venv" 2>/dev/null; }

# What must be there before anything else works, as this system's packages: one a line.
needed_packages() {
  local manager="$1"
  if ! has_llama && ! has_compiler; then
    case "$manager" in
      apt) echo build-essential ;;
      dnf) printf '%s\n' gcc gcc-c++ make ;;
      pacman) echo base-devel ;;
      xcode) echo tools ;;
    esac
  fi
  if ! find_uv && ! can_make_environments; then
    case "$manager" in
      apt)
        command -v python3 >/dev/null || echo python3
        echo python3-venv
        ;;
      dnf) printf '%s\n' python3 python3-pip ;;
      pacman) echo python ;;
    esac
  fi
}

# What some tests need beyond that. Without it they are skipped, and say so. The list knows Debian's names.
test_packages() {
  # Speech without people and a microphone without hardware: for `transcribe --mic`, `voice` and `--speak`.
  command -v espeak-ng >/dev/null || echo espeak-ng
  command -v pulseaudio >/dev/null || echo pulseaudio
  command -v pactl >/dev/null || echo pulseaudio-utils
  [[ "$(PATH="$PATH:/sbin:/usr/sbin" ldconfig -p)" == *libportaudio.so* ]] || echo libportaudio2
  [ -e /etc/alsa/conf.d/99-pulse.conf ] || [ -e /usr/share/alsa/alsa.conf.d/99-pulse.conf ] || echo libasound2-plugins
  command -v zsh >/dev/null || echo zsh # shells whose completion is tested
  command -v fish >/dev/null || echo fish
  command -v jq >/dev/null || echo jq # a pipeline of docs/captioning.md
  command -v fdfind >/dev/null || echo fd-find # another
  # A desktop that nobody looks at, for the tests of the clipboard and the screen in a chat.
  command -v Xvfb >/dev/null || echo xvfb
  command -v xclip >/dev/null || echo xclip
  command -v scrot >/dev/null || echo scrot
  command -v xsetroot >/dev/null || echo x11-xserver-utils
  command -v exiftool >/dev/null || echo libimage-exiftool-perl # reads the XMP that `mmcli caption` writes
  command -v groff >/dev/null || echo groff # reads the man page
  command -v ps >/dev/null || echo procps
}

manager() {
  if [ "$(uname)" = Darwin ]; then
    echo xcode
  elif command -v apt-get >/dev/null; then
    echo apt
  elif command -v dnf >/dev/null; then
    echo dnf
  elif command -v pacman >/dev/null; then
    echo pacman
  fi
}

# The line that installs packages, as a person would type it.
install_line() {
  local manager="$1"
  shift
  case "$manager" in
    apt) echo "apt install $*" ;;
    dnf) echo "dnf install $*" ;;
    pacman) echo "pacman -S $*" ;;
    xcode) echo "xcode-select --install" ;;
    *) echo "your package manager: a C++ compiler, Python 3.11 or newer with pip and venv" ;;
  esac
}

install_quietly() { # MANAGER PACKAGE...
  local manager="$1" sudo=()
  shift
  [ "$(id -u)" -eq 0 ] || sudo=(sudo)
  mkdir -p "$tools"
  case "$manager" in
    apt)
      ${sudo[@]+"${sudo[@]}"} apt-get update -q >>"$log" 2>&1 &&
        ${sudo[@]+"${sudo[@]}"} env DEBIAN_FRONTEND=noninteractive \
          apt-get install -y -q --no-install-recommends ca-certificates "$@" >>"$log" 2>&1
      ;;
    dnf) ${sudo[@]+"${sudo[@]}"} dnf install -y -q "$@" >>"$log" 2>&1 ;;
    pacman) ${sudo[@]+"${sudo[@]}"} pacman -S --noconfirm --needed "$@" >>"$log" 2>&1 ;;
  esac
}

# Whether this may install packages: root, CI, or a person who says yes. Tells what it is about.
may_install() { # REASON PACKAGE...
  local reason="$1" answer
  shift
  [ "$(id -u)" -eq 0 ] && return 0
  command -v sudo >/dev/null || return 1
  if [ "${CI:-}" = true ]; then
    sudo -n true 2>/dev/null
    return
  fi
  [ -t 0 ] && [ -t 2 ] || return 1
  printf '%s: install %s with sudo? [y/N] ' "$reason" "$*" >&2
  read -r answer && [[ "$answer" == [yY]* ]]
}

need_programs() {
  local manager packages
  manager="$(manager)"
  packages="$(needed_packages "${manager:-unknown}" | tr '\n' ' ')"
  if [ -z "$manager" ]; then
    { has_llama || has_compiler; } && { find_uv || can_make_environments; } && return
    fail "a C++ compiler, or Python with pip and venv, is missing" "install them with $(install_line "")"
  fi
  [ -z "$packages" ] && return
  # shellcheck disable=SC2086  # a list of words
  if [ "$manager" != xcode ] && may_install "llama.cpp is compiled on this machine" $packages; then
    say "installing ${packages% } ..."
    install_quietly "$manager" $packages || {
      tail -n 5 "$log" >&2
      fail "cannot install ${packages% }" "the whole story is in $log"
    }
  else
    [ "$manager" = xcode ] && packages="Xcode's command line tools"
    fail "missing: ${packages% }" "as root: $(install_line "$manager" ${packages% })"
  fi
}

# uv

find_uv() {
  [ -x "$tools/bin/uv" ] && case ":$PATH:" in *":$tools/bin:"*) ;; *) export PATH="$PATH:$tools/bin" ;; esac
  command -v uv >/dev/null
}

# `pip install uv`, in an environment of its own: Debian's Python refuses packages outside of one.
need_uv() {
  find_uv && return
  say "installing uv into $tools ..."
  mkdir -p "$tools"
  if ! { python3 -m venv "$tools" && "$tools/bin/python" -m pip install --disable-pip-version-check uv; } >>"$log" 2>&1; then
    tail -n 5 "$log" >&2
    fail "cannot install uv" "the whole story is in $log"
  fi
  find_uv
}

# The environment

is_ready() {
  local file stamp="$root/.venv/.mmcli-is-ready"
  [ -e "$root/.venv/bin/mmcli" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$root" ] || return 1 # made, and not moved since
  for file in "$root"/pyproject.toml "$root"/uv.toml; do
    [ -e "$file" ] && [ ! "$stamp" -nt "$file" ] && return 1
  done
  return 0
}

# Make the environment in .venv, and compile llama.cpp if this machine has not yet: minutes, shown as they pass.
need_environment() {
  is_ready && return
  unset VIRTUAL_ENV UV_PROJECT_ENVIRONMENT
  export UV_LOCK_TIMEOUT="${UV_LOCK_TIMEOUT:-7200}" # seconds to wait for another clone that compiles the same
  mkdir -p "$tools"
  if command -v python3 >/dev/null; then
    python3 "$root/scripts/building.py" "$log" uv sync --project "$root" || exit
  else
    uv sync --project "$root" >&2 || exit
  fi
  echo "$root" >"$root/.venv/.mmcli-is-ready"
}

setup() {
  if ! is_ready; then
    need_programs
    need_uv
    need_environment
  fi
}

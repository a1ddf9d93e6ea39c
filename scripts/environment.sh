# Sourced by the other scripts: makes the virtual environment .venv and installs the project into it.
# A stamp in .venv says what was installed, so that nothing is done when nothing has changed.

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
venv="$root/.venv"
started=$SECONDS
trap 'say "interrupted"; exit 130' INT
trap 'say "terminated"; exit 143' TERM

say() { printf '%s\n' "$*" >&2; }

die() {
  say "error: $*"
  exit 1
}

# Prints the first Python that is new enough and can make virtual environments; $PYTHON is the only candidate if set.
find_python() {
  local candidate
  for candidate in ${PYTHON:+"$PYTHON"} ${PYTHON:-python3.13 python3.12 python3.11 python3 python}; do
    if "$candidate" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
      printf '%s\n' "$candidate"
      return
    fi
  done
  die "Python 3.11 or newer with the venv module is needed (Debian: apt install python3-venv)," \
    "${PYTHON:+and PYTHON=$PYTHON is not one; }set PYTHON to choose it"
}

need_tools() {
  local tool
  for tool in "$@"; do
    command -v "$tool" >/dev/null || die "$tool is needed to build simulations (Debian: apt install g++ make)"
  done
}

# need_environment LEVEL: demo, test or dev, each holding the one before.
need_environment() {
  local level=$1 extras levels="demo test dev" key
  case $level in
    demo) extras=all ;;
    test) extras=test levels="test dev" ;;
    dev) extras=dev levels="dev" ;;
    *) die "the level must be demo, test or dev, not '$level'" ;;
  esac
  key=$({ printf '%s\n' "$root"; cat "$root/pyproject.toml"; } | sha256sum)
  installed "$key" $levels && return
  # Two scripts that start together must not install into the same folder at once.
  mkdir -p "$root/build"
  (
    if command -v flock >/dev/null; then flock 9; fi
    installed "$key" $levels || install "$key" "$level" "$extras"
  ) 9>"$root/build/environment.lock"
}

# installed KEY LEVEL...: whether one of the levels carries this key.
installed() {
  local key=$1 level
  shift
  [ -x "$venv/bin/python" ] || return 1
  for level in "$@"; do
    [ "$(cat "$venv/stamp-$level" 2>/dev/null)" = "$key" ] && return 0
  done
  return 1
}

install() {
  local key=$1 level=$2 extras=$3 python size="200 MB"
  # Start over what was interrupted half-way, lost its interpreter, or was moved here from another folder.
  if [ -e "$venv/incomplete" ] || ! "$venv/bin/python" -c 'import pip' >/dev/null 2>&1 ||
    ! grep -qF "$venv/bin/" "$venv/bin/pip"; then
    python=$(find_python)
    say "making .venv with $("$python" -V) ..."
    mkdir -p "$venv"
    "$python" -m venv --clear "$venv" 9>&-
  fi
  : >"$venv/incomplete"
  if [ "$level" != demo ]; then size="600 MB"; fi
  say "installing into .venv (the first time, about $size to download) ..."
  # The tests compare with torch. This release needs no CUDA, which later ones bring by the gigabyte.
  if [ "$level" != demo ]; then
    "$venv/bin/python" -m pip install -qq --disable-pip-version-check "torch==2.13.0" 9>&-
  fi
  "$venv/bin/python" -m pip install -qq --disable-pip-version-check --no-warn-script-location \
    -e "$root[$extras]" 9>&-
  rm -f "$venv/incomplete"
  printf '%s\n' "$key" >"$venv/stamp-$level"
}

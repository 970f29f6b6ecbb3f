# Sourced by ./breakcow and ./breakcow-tests: the environment in .venv, made from a lock file where it is not there yet or not current.
# POSIX sh. Nothing is needed but Linux and Python 3.11 or newer.

say() {
    echo "breakcow: $*" >&2
}

# The first Python on PATH that is new enough.
find_python() {
    for candidate in python3 python3.14 python3.13 python3.12 python3.11; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    say "needs Python 3.11 or newer, and found none: install it, on Debian with apt-get install python3 python3-venv"
    return 1
}

# make_venv PYTHON FOLDER: Debian keeps a part of venv in a package of its own, named after the version.
make_venv() {
    rm -rf "$2"
    "$1" -m venv "$2" >/dev/null 2>&1 && return
    package=$("$1" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        say "$1 cannot make a virtual environment: install its venv module, on Debian as root with apt-get install $package"
        return 1
    fi
    say "installing $package with apt"
    install_packages "$package"
    rm -rf "$2"
    "$1" -m venv "$2"
}

# install_packages NAME...: with apt, silently; its package lists are read again only where they turn out to be missing or old.
install_packages() {
    export DEBIAN_FRONTEND=noninteractive
    apt-get install -qq --no-install-recommends "$@" >/dev/null 2>&1 && return
    apt-get update -qq >/dev/null
    apt-get install -qq --no-install-recommends "$@" >/dev/null
}

# environment ROOT LOCK: make ROOT/.venv hold breakcow and what ROOT/LOCK names. Copies of what was installed tell whether it is current.
environment() (
    set -eu
    root=$1 lock=$2 venv=$1/.venv
    if command -v flock >/dev/null; then
        exec 9<"$root/bootstrap.sh"
        flock 9
    fi
    if [ "$(cat "$venv/.made-for" 2>/dev/null)" != "$root" ] || ! "$venv/bin/python" -c '' 2>/dev/null; then
        say "making .venv"
        make_venv "$(find_python)" "$venv"
        echo "$root" >"$venv/.made-for"
    fi
    if ! cmp -s "$root/$lock" "$venv/.$lock" || ! cmp -s "$root/pyproject.toml" "$venv/.pyproject.toml"; then
        say "installing what $lock names into .venv"
        "$venv/bin/python" -m pip install -qq --disable-pip-version-check --require-hashes -r "$root/$lock"
        "$venv/bin/python" -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e "$root"
        cp "$root/$lock" "$venv/.$lock"
        cp "$root/pyproject.toml" "$venv/.pyproject.toml"
    fi
)

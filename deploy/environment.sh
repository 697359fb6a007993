# Sourced by deploy/up and deploy/test, which set `root`: find a Python and let it make the environment .venv.

find_python() {
    for name in python3 python3.14 python3.13 python3.12 python3.11 python; do
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            echo "$name"
            return
        fi
    done
    echo "crossdock: there is no Python 3.11 or newer here: install one (on Debian: apt-get install python3), then run this again." >&2
    return 1
}

# make_environment LOCK: afterwards $root/.venv holds exactly what LOCK names, and Crossdock itself.
make_environment() {
    python=$(find_python)
    "$python" "$root/deploy/environment.py" "$1"
}

# What ops/demo and ops/test share: the repository's place, Rust, the few system packages, timing.
# Sourced, not run. Data stays on stdout; what these functions say goes to stderr.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# Where cargo puts what it builds; one folder, so that nothing is built twice.
target_dir=${CARGO_TARGET_DIR:-target}
case $target_dir in /*) ;; *) target_dir=$root/$target_dir ;; esac

# Bad usage or a machine that is not ready (sysexits.h EX_USAGE), as the binary itself uses it.
not_ready=64

say() { printf '%s\n' "$*" >&2; }

# Finds cargo and stops when it is missing or older than `rust-version` in Cargo.toml.
need_rust() {
    if ! command -v cargo >/dev/null && [ -x "${CARGO_HOME:-$HOME/.cargo}/bin/cargo" ]; then
        PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
    fi
    local wanted have
    wanted=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' "$root/Cargo.toml")
    if ! command -v cargo >/dev/null; then
        say "Rust $wanted or newer is needed and there is none. Run this, then start again:"
        say "  curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y && . \"\$HOME/.cargo/env\""
        exit $not_ready
    fi
    # The compiler counts, not cargo: a pinned or overridden toolchain may have both of another age.
    have=$(cd "$root" && rustc --version 2>/dev/null | cut -d' ' -f2 | cut -d- -f1)
    if [ -z "$have" ] || [ "$(printf '%s\n%s\n' "$wanted" "$have" | sort -V | head -n1)" != "$wanted" ]; then
        say "Rust $wanted or newer is needed, here is ${have:-none}. Run this, then start again:"
        if command -v rustup >/dev/null; then
            say "  rustup update stable && rustup default stable"
        else
            say "  curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y && . \"\$HOME/.cargo/env\""
        fi
        exit $not_ready
    fi
}

# Makes sure of `cargo fmt` and `cargo clippy`, which a minimal toolchain lacks.
need_components() {
    if (cd "$root" && cargo fmt --version && cargo clippy --version) >/dev/null 2>&1; then
        return
    fi
    if command -v rustup >/dev/null && (cd "$root" && rustup component add rustfmt clippy) >&2; then
        return
    fi
    say "rustfmt and clippy are needed. Run this, then start again:"
    say "  rustup component add rustfmt clippy"
    exit $not_ready
}

# ring, SQLite and zstd are compiled from C: a compiler that finds its headers and links.
has_c_compiler() {
    printf '#include <stdlib.h>\nint main(void) { return EXIT_SUCCESS; }\n' |
        cc -x c -o /dev/null - >/dev/null 2>&1
}

# The PDF sheet needs a Japanese font; these are the places the hub itself looks in.
has_japanese_font() {
    local font
    for font in \
        /usr/share/fonts/opentype/ipaexfont-gothic/ipaexg.ttf \
        /usr/share/fonts/opentype/ipaexfont/ipaexg.ttf \
        /usr/share/fonts/truetype/fonts-japanese-gothic.ttf \
        /usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc; do
        [ -r "$font" ] && return
    done
    return 1
}

# Where PostgreSQL's server programs are: Debian keeps them beside the path.
postgres_bin() {
    local bin
    for bin in /usr/lib/postgresql/*/bin; do
        [ -x "$bin/initdb" ] && newest=$bin
    done
    [ -n "${newest:-}" ] && printf '%s\n' "$newest" && return
    bin=$(command -v initdb) && dirname "$bin"
}

# The NATS server that tests start; Debian puts it where not everybody's path leads.
has_nats_server() {
    command -v nats-server >/dev/null || [ -x /usr/sbin/nats-server ]
}

# A port nobody listens on.
free_port() {
    local port
    for _ in $(seq 100); do
        port=$((20000 + RANDOM % 20000))
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { printf '%s\n' "$port"; return; }
    done
    return 1
}

# Installs what the machine lacks, or prints the one line that does.
need_packages() {
    local packages=()
    has_c_compiler || packages+=(build-essential)
    has_japanese_font || packages+=(fonts-ipaexfont)
    [ "${1:-}" != tests ] || postgres_bin >/dev/null || packages+=(postgresql)
    [ "${1:-}" != tests ] || has_nats_server || packages+=(nats-server)
    [ ${#packages[@]} -eq 0 ] && return
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then as_root=(sudo -n); fi
    if command -v apt-get >/dev/null && { [ "$(id -u)" -eq 0 ] || sudo -n true 2>/dev/null; }; then
        say "installing ${packages[*]}"
        if "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive sh -c \
            'apt-get -q -o DPkg::Lock::Timeout=300 update &&
             apt-get -q -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "$@"' sh "${packages[@]}" >&2 &&
            has_c_compiler && has_japanese_font && { [ "${1:-}" != tests ] || { postgres_bin >/dev/null && has_nats_server; }; }; then
            return
        fi
    fi
    say "Needed on this machine: ${packages[*]}. Run this, then start again:"
    say "  sudo apt-get update && sudo apt-get install -y --no-install-recommends ${packages[*]}"
    exit $not_ready
}

# Builds the binary, with cargo's own progress. Quick when nothing has changed. RENKEI_BUILD_ALL: with
# everything else, as the tests do, because cargo builds what is shared once for each selection.
build_renkei() {
    local what=(-p renkei)
    [ -z "${RENKEI_BUILD_ALL:-}" ] || what=(--workspace)
    (cd "$root" && cargo build --release --locked "${what[@]}") >&2
}

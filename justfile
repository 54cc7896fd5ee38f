# A convenience; the scripts in ops/ need only bash. `just` alone lists what there is.

_list:
    @just --list

# Everything that must hold, as CI runs it.
ci:
    ./ops/test

# The story on this machine: hospital, hub, MCS, Vital Link, ward.
demo *ARGS:
    ./ops/demo {{ARGS}}

# Format every package.
fmt:
    cargo fmt

# Lints; none may remain.
lint:
    cargo clippy --release --workspace --all-targets -- -D warnings

# Tests; `just test -p renkei-mappings` for one package.
test *ARGS="--workspace":
    cargo test --release {{ARGS}}

# Run the hub with a configuration.
run CONFIG="renkei.toml":
    cargo run --release -p renkei -- run --config {{CONFIG}}

# What a mapping makes of files or folders: `just map hl7v2 FILE…`.
map MAPPING *PATHS:
    cargo run --release -p renkei -- map {{PATHS}} --with {{MAPPING}}

# Write the expected files of mappings and posts anew; then read the difference.
bless:
    RENKEI_UPDATE_FIXTURES=1 RENKEI_BLESS=1 cargo test --release -p renkei-mappings

# Write the schema of renkei.toml anew.
schema:
    cargo run --release -p renkei -- schema > ops/renkei.schema.json

# Licences, advisories and layers (needs cargo-deny).
deny:
    cargo deny check

# The habits of this repository. `just --list` shows them.

# Everything CI runs.
ci:
    .ci/run

# Formatting and lints.
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --locked -- -D warnings

# All tests.
test:
    cargo test --locked

# The documentation, in a browser.
docs:
    cargo doc --workspace --no-deps --open

# A quick reproduction, with its report in runs/.
report:
    cargo run --release --locked -- reproduce --quick

# Speed of the engine on the larger of the paper's networks.
bench:
    cargo run --release --locked -- train fc200-200-10 -o target/fc200-200-10.onnx
    cargo run --release --locked -- bench target/fc200-200-10.onnx --batch 1000

# Fuzzes one target (onnx, arrays, pictures, tables, parquet, spec) for some seconds. Needs a nightly compiler and
# cargo-fuzz. What it learns stays in fuzz/found; files that it breaks on belong into fuzz/regressions.
fuzz target seconds="600":
    mkdir -p fuzz/found/{{target}} fuzz/regressions/{{target}}
    cargo +nightly fuzz run {{target}} -s none fuzz/found/{{target}} fuzz/corpus/{{target}} fuzz/regressions/{{target}} -- \
        -max_total_time={{seconds}} -timeout=5 -rss_limit_mb=1024 -malloc_limit_mb=256 -max_len=200000

# The single door to every task. `just check` is what must be green before a change lands.

# Everything that must hold.
check: format lint tidy test docs supply

# Formatting.
format:
    cargo fmt --check

# Warnings are errors.
lint:
    cargo clippy --workspace --all-targets --locked -- -D warnings

# Import direction, file names and sizes, versions and lints inherited, generated code and references as
# their generators write them.
tidy:
    cargo xtask tidy
    cargo xtask codegen --check
    cargo xtask docs --check

# Unit tests, property tests, corpora of the fuzz targets, and the stories.
test:
    cargo test --workspace --locked

# Every crate's documentation builds, without broken links.
docs:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked --document-private-items

# Licences, bans and sources of dependencies; dependencies that nobody uses.
supply:
    cargo deny --locked check licenses bans sources
    cargo machete

# Independent clients against a release build: the Python SDK and the MCP inspector.
peers:
    cargo build --release --locked --bin vmcpctl
    tests/peers/run target/release/vmcpctl

# The official conformance suite, direct and through data planes.
conformance:
    cargo build --release --locked --bin vmcpctl --bin vmcp-conformance-server
    tests/conformance/run target/release/vmcpctl target/release/vmcp-conformance-server

# What clients get of server-everything through a data plane: what they get direct.
sdks:
    cargo build --release --locked --bin vmcpctl
    tests/sdks/run target/release/vmcpctl

# A real OpenID provider, with two users who sign in and a client of its own as principals.
identity:
    cargo build --release --locked --bin vmcpctl
    tests/identity/run target/release/vmcpctl

# Five servers from npm and PyPI behind a release build, used by three independent clients.
everyday:
    cargo build --release --locked --bin vmcpctl
    cargo build --release --locked -p vmcp-tests --example rmcp-client
    tests/everyday/run target/release/vmcpctl target/release/examples/rmcp-client

# The README's first command, word for word.
readme:
    tests/readme/run

# What a request costs, beside nginx; the report goes to target/bench.
bench *ARGUMENTS:
    cargo build --release --locked --bin vmcpctl --bin vmcp-bench
    target/release/vmcp-bench run {{ARGUMENTS}}

# Instructions per request, counted by callgrind; `just instructions PATH` beside those of another build of vmcpctl.
instructions *BEFORE:
    cargo build --release --locked --bin vmcpctl --bin vmcp-bench
    tests/instructions/run target/release/vmcp-bench target/release/vmcpctl {{BEFORE}}

# Looks for texts that break a reader, for a while: `just fuzz vmcp-manifest manifest 60`.
fuzz CRATE="vmcp-json" TARGET="object" SECONDS="60":
    cd crates/{{CRATE}} && RUSTC_BOOTSTRAP=1 cargo fuzz run {{TARGET}} --sanitizer none -- -max_total_time={{SECONDS}} -max_len=65536

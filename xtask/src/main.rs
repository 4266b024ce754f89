//! `cargo xtask tidy` and `cargo xtask codegen [--check]`.

mod codegen;
mod tidy;

use std::path::Path;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["codegen"] => codegen::run(root(), false),
        ["codegen", "--check"] => codegen::run(root(), true),
        ["tidy"] => tidy::run(root()),
        _ => anyhow::bail!("usage: cargo xtask tidy | codegen [--check]"),
    }
}

/// The repository.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

//! `cargo xtask tidy`, `cargo xtask codegen [--check]` and `cargo xtask docs [--check]`.

mod codegen;
mod docs;
mod tidy;

use std::path::Path;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["codegen"] => codegen::run(root(), false),
        ["codegen", "--check"] => codegen::run(root(), true),
        ["docs"] => docs::run(root(), false),
        ["docs", "--check"] => docs::run(root(), true),
        ["tidy"] => tidy::run(root()),
        _ => anyhow::bail!("usage: cargo xtask tidy | codegen [--check] | docs [--check]"),
    }
}

/// The repository.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

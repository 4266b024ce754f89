//! The operator's hand.

fn main() -> std::process::ExitCode {
    vmcpctl::main()
}

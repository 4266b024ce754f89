//! `vmcpctl`, for the stories.

fn main() -> std::process::ExitCode {
    vmcpctl::main()
}

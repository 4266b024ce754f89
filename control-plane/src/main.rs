//! The control plane as a program of its own.

fn main() -> std::process::ExitCode {
    vmcp_control_plane::main()
}

//! `vmcp-control-plane`, for the stories.

fn main() -> std::process::ExitCode {
    vmcp_control_plane::main()
}

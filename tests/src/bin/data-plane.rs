//! `vmcp-data-plane`, for the stories.

fn main() -> std::process::ExitCode {
    vmcp_data_plane::main(vmcp_revision::codec::decode)
}

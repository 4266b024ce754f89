//! The data plane as a program of its own.

/// A request makes a few dozen small allocations on one thread and frees them there, which is what this one is made for.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    vmcp_data_plane::main(vmcp_revision::codec::decode)
}

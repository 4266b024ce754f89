//! The operator's hand.

/// A request makes a few dozen small allocations on one thread and frees them there, which is what this one is made for.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    vmcpctl::main()
}

//! `vmcp-data-plane` as if it were of another version: of a share that mentions `from-the-future` it understands nothing.

use vmcp_revision::Part;
use vmcp_revision::codec::{Decoded, Rejection, decode};

fn main() -> std::process::ExitCode {
    vmcp_data_plane::main(skewed)
}

fn skewed(part: &Part) -> Result<Decoded, Rejection> {
    let word = b"from-the-future";
    if part.bytes.windows(word.len()).any(|window| window == word) {
        return Err(Rejection::Field {
            field: "items",
            why: "this version does not know what it says".to_owned(),
        });
    }
    decode(part)
}

//! The helper alone, for this crate's own tests and benchmark; the product re-executes itself instead.

fn main() {
    sandbox::helper_main()
}

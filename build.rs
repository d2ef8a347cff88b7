#![allow(missing_docs)]

fn main() {
    // Calls of this library reach its own functions first: see src/sys/node_api.rs.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-Bsymbolic-functions");
    napi_build::setup();
}

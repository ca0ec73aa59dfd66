//! A real S3 service for the tests, on a folder: `s3-server ROOT ADDRESS ACCESS_KEY SECRET_KEY`. Prints the address it listens on.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test fails when this does not start")]

use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
};
use s3s::{auth::SimpleAuth, service::S3ServiceBuilder};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [root, address, access, secret] = words.as_slice() else { panic!("see the first line of the source") };
    let mut service = S3ServiceBuilder::new(s3s_fs::FileSystem::new(root).unwrap());
    service.set_auth(SimpleAuth::from_single(access.as_str(), secret.as_str()));
    let service = service.build();
    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    println!("{}", listener.local_addr().unwrap());
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let service = service.clone();
        tokio::spawn(async move {
            // A client that hangs up is no fault of the service.
            let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

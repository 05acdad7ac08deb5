//! The server of the demonstration: so that it needs no other program on the machine.

use std::io::{self, Write};
use std::net::TcpListener;

/// Answers every connection to `address` with one line of HTTP, one after the other, for ever.
pub(super) fn serve(address: &str) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    let body = format!("hello from process {}\n", std::process::id());
    let answer = format!("HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    println!("listening on {address}");
    for stream in listener.incoming() {
        // A client that has gone again is no reason to end.
        let _ = stream.and_then(|mut stream| stream.write_all(answer.as_bytes()));
    }
    Ok(())
}

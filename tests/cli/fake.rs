//! A daemon that plays a script, and the command line that asks it.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

/// What a run of `supervicectl` came to.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

/// A socket in a directory of its own, and every request that has come.
pub struct Fake {
    pub dir: tempfile::TempDir,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Fake {
    /// A daemon whose connections are each handed to `serve`, with the body of their first request.
    pub fn new(serve: impl Fn(&str, &mut UnixStream) + Send + Sync + 'static) -> Fake {
        let fake = Fake::nobody();
        let listener = UnixListener::bind(fake.socket()).expect("a socket");
        let (requests, serve) = (fake.requests.clone(), Arc::new(serve));
        // Ends with the test's process; it holds nothing but the socket.
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let (requests, serve) = (requests.clone(), serve.clone());
                std::thread::spawn(move || {
                    let Some(request) = read_frame(&mut stream) else { return };
                    requests.lock().expect("no panic").push(request.clone());
                    serve(&request, &mut stream);
                });
            }
        });
        fake
    }

    /// A daemon that gives this answer to everything.
    pub fn answering(answer: &'static str) -> Fake {
        Fake::new(move |_, stream| send(stream, answer))
    }

    /// A daemon that takes one request and is gone, with its socket.
    pub fn ending() -> Fake {
        let fake = Fake::nobody();
        let (socket, requests) = (fake.socket(), fake.requests.clone());
        let listener = UnixListener::bind(&socket).expect("a socket");
        std::thread::spawn(move || {
            let Ok((mut stream, _)) = listener.accept() else { return };
            requests.lock().expect("no panic").extend(read_frame(&mut stream));
            let _ = std::fs::remove_file(socket);
            drop(listener);
        });
        fake
    }

    /// A directory without a daemon.
    pub fn nobody() -> Fake {
        let dir = tempfile::tempdir().expect("a directory");
        Fake { dir, requests: Arc::default() }
    }

    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("s")
    }

    /// Runs `supervicectl -s SOCKET` with these arguments. `SOCKET` stands for the path in the results.
    pub fn ctl(&self, args: &[&str]) -> Outcome {
        self.run(Command::new(env!("CARGO_BIN_EXE_supervicectl")).arg("-s").arg(self.socket()).args(args))
    }

    pub fn run(&self, command: &mut Command) -> Outcome {
        let output =
            command.env_remove("SUPERVICE_SOCKET").env("TZ", "UTC").stdin(Stdio::null()).output().expect("it runs");
        let socket = self.socket().display().to_string();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8").replace(&socket, "SOCKET");
        Outcome { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// The requests so far, in the order of their text: names are asked for side by side.
    pub fn requests(&self) -> Vec<String> {
        let mut requests = self.requests.lock().expect("no panic").clone();
        requests.sort();
        requests
    }
}

pub fn read_frame(stream: &mut UnixStream) -> Option<String> {
    let mut header = [0; 4];
    stream.read_exact(&mut header).ok()?;
    let mut body = vec![0; u32::from_be_bytes(header) as usize];
    stream.read_exact(&mut body).ok()?;
    String::from_utf8(body).ok()
}

pub fn send(stream: &mut UnixStream, answer: &str) {
    let length = u32::try_from(answer.len()).expect("short").to_be_bytes();
    let _ = stream.write_all(&[&length[..], answer.as_bytes()].concat());
}

pub fn outcome(code: i32, out: &str, err: &str) -> Outcome {
    Outcome { code: Some(code), out: out.to_owned(), err: err.to_owned() }
}

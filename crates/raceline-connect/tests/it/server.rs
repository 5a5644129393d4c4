//! A local S3 server for one test: moto's, of the Python environment that `make test` sets up.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a server may take to answer.
const START: Duration = Duration::from_mins(1);

/// A server of this machine, until it is dropped.
pub(crate) struct Server {
    process: Child,
    pub(crate) endpoint: String,
}

impl Server {
    /// A server that takes any credentials and has the empty bucket `bucket`.
    pub(crate) fn with_bucket(bucket: &str) -> Self {
        let server = Self::start(&[]);
        server.put(bucket, "");
        server
    }

    /// Makes a bucket, or an object whose key stays as it is: a store's path ends in no slash.
    pub(crate) fn put(&self, path: &str, content: &str) {
        let mut connection = TcpStream::connect(self.address()).unwrap();
        let request = format!(
            "PUT /{path} HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n\
             {content}",
            self.address(),
            content.len()
        );
        connection.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }

    /// A server that takes no credentials.
    pub(crate) fn that_refuses() -> Self {
        Self::start(&[("INITIAL_NO_AUTH_ACTION_COUNT", "0")])
    }

    fn start(environment: &[(&str, &str)]) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let program = program();
        let process = Command::new(&program)
            .args(["--host", "127.0.0.1", "--port", &port.to_string()])
            .envs(environment.iter().copied())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start `{}`: {error}", program.display()));
        let server = Self { process, endpoint: format!("http://127.0.0.1:{port}") };
        let start = Instant::now();
        while TcpStream::connect(server.address()).is_err() {
            assert!(start.elapsed() < START, "`{}` does not answer", program.display());
            std::thread::sleep(Duration::from_millis(50));
        }
        server
    }

    fn address(&self) -> &str {
        self.endpoint.trim_start_matches("http://")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// `moto_server`, beside the Python that `PYO3_PYTHON` names or in the environment of `make`.
fn program() -> PathBuf {
    let python = std::env::var_os("PYO3_PYTHON").map(PathBuf::from);
    // Where cargo runs, not where it compiled: several checkouts may share their builds.
    let package = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let environment = package.map(|package| package.join("../../.venv/bin/python"));
    let beside = |python: PathBuf| python.with_file_name("moto_server");
    let places: Vec<_> = python.into_iter().chain(environment).map(beside).collect();
    places.iter().find(|place| place.exists()).cloned().unwrap_or_else(|| {
        panic!("no `moto_server` at {places:?}: `make develop` installs it in `.venv`")
    })
}

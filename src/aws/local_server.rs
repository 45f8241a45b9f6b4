//! What plays the endpoints in tests: one that listens on this machine and answers as it is told.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;

/// A server; it ends when it is dropped.
pub struct LocalServer {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl LocalServer {
    /// One that gives to each request's text the bytes that `answer` makes of it, and closes.
    pub fn answering(answer: impl Fn(&str) -> String + Send + 'static) -> LocalServer {
        LocalServer::new(move |mut stream, asked| {
            let mut text = Vec::new();
            let mut room = [0_u8; 1024];
            while !text.ends_with(b"\r\n\r\n") {
                match stream.read(&mut room) {
                    Ok(count) if count > 0 => text.extend_from_slice(&room[..count]),
                    _ => return,
                }
            }
            let text = String::from_utf8_lossy(&text).into_owned();
            let reply = answer(&text);
            asked.lock().push(text);
            let _ = stream.write_all(reply.as_bytes());
            // So that a client which did not read all of it sees an end rather than a reset.
            let _ = stream.shutdown(Shutdown::Write);
            let _ = stream.read(&mut room);
        })
    }

    /// One that accepts, and then says nothing until the client goes.
    pub fn silent() -> LocalServer {
        LocalServer::new(|mut stream, _| while matches!(stream.read(&mut [0_u8; 64]), Ok(1..)) {})
    }

    fn new(serve: impl Fn(TcpStream, &Mutex<Vec<String>>) + Send + 'static) -> LocalServer {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let over = Arc::new(AtomicBool::new(false));
        let (shared, ended) = (asked.clone(), over.clone());
        let thread = std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if ended.load(Ordering::SeqCst) {
                    return;
                }
                // Nobody waits for a client that a failed test has left.
                let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
                serve(stream, &shared);
            }
        });
        LocalServer { address, asked, over, thread: Some(thread) }
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it was asked so far, each request as it came.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().clone()
    }
}

impl Drop for LocalServer {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A reply with a body.
pub fn reply(status: u16, body: &str) -> String {
    format!("HTTP/1.1 {status} Said\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// A reply that lends keys until `expires`.
pub fn lent(id: &str, expires: &str) -> String {
    let body = format!(
        r#"{{"Code":"Success","AccessKeyId":"{id}","SecretAccessKey":"hidden","Token":"lent","Expiration":"{expires}"}}"#
    );
    reply(200, &body)
}

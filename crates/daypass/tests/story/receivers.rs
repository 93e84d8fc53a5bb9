//! A receiver of webhooks and a mail server that take whatever comes and keep what notices said.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use crate::running::PATIENCE;

/// One that listens. Its thread ends with the test's process.
pub(crate) struct Receiver {
    pub(crate) port: u16,
    kept: Arc<Mutex<String>>,
}

impl Receiver {
    fn start(take: fn(TcpStream, &Mutex<String>) -> std::io::Result<()>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let kept = Arc::new(Mutex::new(String::new()));
        let keep = Arc::clone(&kept);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let _ = stream.set_read_timeout(Some(PATIENCE));
                let keep = Arc::clone(&keep);
                // A connection that breaks is tried again by who made it.
                std::thread::spawn(move || take(stream, &keep));
            }
        });
        Self { port, kept }
    }

    /// Takes webhooks: keeps their bodies.
    pub(crate) fn of_webhooks() -> Self {
        Self::start(webhook)
    }

    /// Takes mail, from anybody with any password: keeps what comes between `MAIL` and `QUIT`, so all but the login.
    pub(crate) fn of_mail() -> Self {
        Self::start(mail)
    }

    /// What came so far.
    pub(crate) fn kept(&self) -> String {
        self.kept.lock().unwrap().clone()
    }
}

fn webhook(stream: TcpStream, keep: &Mutex<String>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    loop {
        let (mut length, mut line) = (0, String::new());
        while line != "\r\n" {
            line.clear();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
            // The headers as well: a signature is none of the secrets.
            keep.lock().unwrap().push_str(&line);
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        keep.lock().unwrap().push_str(&String::from_utf8_lossy(&body));
        (&stream).write_all(b"HTTP/1.1 204 No Content\r\n\r\n")?;
    }
}

fn mail(stream: TcpStream, keep: &Mutex<String>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let say = |text: &str| (&stream).write_all(text.as_bytes());
    say("220 mail.example ESMTP\r\n")?;
    let (mut line, mut in_message) = (String::new(), false);
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let verb: String = line.chars().take(4).collect::<String>().to_ascii_uppercase();
        if in_message {
            keep.lock().unwrap().push_str(&line);
            if line == ".\r\n" {
                in_message = false;
                say("250 2.0.0 kept\r\n")?;
            }
            continue;
        }
        match verb.as_str() {
            "EHLO" => say("250-mail.example\r\n250-8BITMIME\r\n250 AUTH PLAIN\r\n")?,
            "AUTH" => say("235 2.7.0 welcome\r\n")?,
            "DATA" => {
                in_message = true;
                say("354 go on\r\n")?;
            }
            "QUIT" => return say("221 2.0.0 bye\r\n"),
            _ => {
                keep.lock().unwrap().push_str(&line);
                say("250 2.0.0 well\r\n")?;
            }
        }
    }
}

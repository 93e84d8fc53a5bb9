//! Notices as others receive them: PyPI's `aiosmtpd` takes the mail, and the reference library of Standard Webhooks
//! verifies the webhooks. The server is the real one, with its loops and its clock.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, channel};

use daypass_api::person::SetMail;
use daypass_core::id::RequestId;
use daypass_server::config::ServerConfig;
use reqwest::Method;
use serde_json::Value;

use crate::bed::{Bed, PATIENCE, ask};
use crate::venv::Venv;

/// What is installed from PyPI.
const VENV: Venv = Venv {
    name: "notices-python-1",
    install: &["aiosmtpd==1.4.6", "standardwebhooks==1.1.0"],
    modules: "aiosmtpd, standardwebhooks",
};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// A reason that would like to be something else.
const HOSTILE: &str = "PAY-7 – grüße\nSubject: Approved\n\n<a href=\"https://evil.example\">click</a>";

const PASSWORD: &str = "a canary in the mail server";

/// Its Python, made once. `None`: this machine has no Python; CI's has.
fn python() -> Option<&'static Path> {
    static PYTHON: OnceLock<Option<PathBuf>> = OnceLock::new();
    PYTHON.get_or_init(|| VENV.python()).as_deref()
}

/// The receivers, and what they say.
struct Peers {
    child: Child,
    said: Receiver<Value>,
    smtp: u64,
    http: u64,
}

impl Peers {
    fn start(python: &Path, certificate: &Path, key: &Path) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/peers.py");
        let mut child = Command::new(python)
            .arg(script)
            .args([certificate, key])
            .args(["daypass", PASSWORD, SECRET])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (say, said) = channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if say.send(serde_json::from_str(&line).unwrap()).is_err() {
                    return;
                }
            }
        });
        let ports: Value = said.recv_timeout(PATIENCE).unwrap();
        Self {
            child,
            said,
            smtp: ports["smtp"].as_u64().unwrap(),
            http: ports["http"].as_u64().unwrap(),
        }
    }

    /// Listens until so many mails and webhooks came.
    fn hear(&self, mails: usize, hooks: usize) -> (Vec<Value>, Vec<Value>) {
        let (mut mail, mut hook) = (Vec::new(), Vec::new());
        while mail.len() < mails || hook.len() < hooks {
            let next = self.said.recv_timeout(PATIENCE);
            let next = next.unwrap_or_else(|late| panic!("{late}: {mail:#?} {hook:#?}"));
            mail.extend(next.get("mail").cloned());
            hook.extend(next.get("hook").cloned());
        }
        (mail, hook)
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        self.child.wait().unwrap();
    }
}

fn configured(folder: &Path, peers: &Peers) -> ServerConfig {
    for (name, text) in [("hook", SECRET), ("smtp", PASSWORD)] {
        std::fs::write(folder.join(name), text).unwrap();
        std::fs::set_permissions(folder.join(name), std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    let (smtp, http) = (peers.smtp, peers.http);
    let text = format!(
        "secrets:\n  hook: {{file: hook, hosts: [\"127.0.0.1:{http}\"], tls: disable}}\n  \
         smtp: {{file: smtp, hosts: [\"localhost:{smtp}\"]}}\n\
         notices:\n  base_url: https://daypass.example\n  \
         webhooks: [{{name: chat, url: \"http://127.0.0.1:{http}/hook\", key: {{secret: hook}}}}]\n  \
         mail: {{smtp: \"localhost:{smtp}\", ca: cert.pem, from: \"Daypass <daypass@example.com>\", \
         user: daypass, password: {{secret: smtp}}}}\n"
    );
    ServerConfig::parse(&folder.join("server.yaml"), &text).unwrap()
}

fn header<'a>(mail: &'a Value, name: &str) -> &'a str {
    let headers = mail["headers"].as_array().unwrap();
    let mut of_name = headers.iter().filter(|header| header[0] == name);
    let found = of_name.next().unwrap_or_else(|| panic!("no {name}: {mail}"));
    assert!(of_name.next().is_none(), "{name} twice: {mail}");
    found[1].as_str().unwrap()
}

/// A certificate for `localhost` and its key, in files.
fn certificate(folder: &Path) -> (PathBuf, PathBuf) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (certificate, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    (certificate, key)
}

/// A mail that asks bo, as it came: from whom, over what, under which headers.
fn comes_as_it_should(mail: &Value) {
    assert_eq!(mail["defects"], serde_json::json!([]), "{mail}");
    assert_eq!((&mail["tls"], &mail["user"]), (&true.into(), &"daypass".into()));
    assert_eq!(mail["from"], "daypass@example.com");
    assert_eq!(mail["to"], serde_json::json!(["bo@example.com"]));
    assert_eq!(
        header(mail, "Subject"),
        "[daypass] ana asks for orders/write for 1h"
    );
    assert_eq!(header(mail, "To"), "bo@example.com");
    assert_eq!(header(mail, "Auto-Submitted"), "auto-generated");
    assert!(
        header(mail, "Message-ID").contains("request-review_asked"),
        "{mail}"
    );
}

/// Both of its forms say the same, quote what was written, and have one link, which is ours.
fn says_it_twice(mail: &Value, request: RequestId) {
    assert_eq!(mail["type"], "multipart/alternative");
    let part = |index: usize| {
        let part = &mail["parts"][index];
        let text = part[1].as_str().unwrap().replace("\r\n", "\n");
        (part[0].as_str().unwrap(), text)
    };
    let ((plain_type, plain), (html_type, html)) = (part(0), part(1));
    assert_eq!((plain_type, html_type), ("text/plain", "text/html"));
    let link = format!("https://daypass.example/requests/{request}");
    let quoted =
        "Reason:\n> PAY-7 – grüße\n> Subject: Approved\n> \n> <a href=\"https://evil.example\">click</a>\n";
    assert!(plain.contains(quoted) && plain.contains(&link), "{plain}");
    let command = format!("daypass approve {}", request.short());
    assert!(plain.contains(&command) && html.contains(&command), "{plain}");
    let escaped = "&lt;a href=&quot;https://evil.example&quot;&gt;click&lt;/a&gt;";
    assert!(html.contains(escaped), "{html}");
    assert_eq!(html.matches("<a href=").count(), 1, "{html}");
    assert!(html.contains(&format!("<a href=\"{link}\">")), "{html}");
}

#[tokio::test(flavor = "multi_thread")]
async fn others_receive_what_we_send() {
    let Some(python) = tokio::task::spawn_blocking(python).await.unwrap() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = certificate(folder.path());
    let peers = Peers::start(python, &certificate, &key);
    let wanted = configured(folder.path(), &peers);
    let bed = Bed::with(|config| {
        config.secrets = wanted.secrets;
        config.notices = wanted.notices;
    })
    .await;
    let root = bed.client("root").await;
    for login in ["ana", "bo"] {
        let mail = Some(format!("{login}@example.com"));
        root.set_mail(&login.parse().unwrap(), &SetMail { mail })
            .await
            .unwrap();
    }
    let mut asked = ask("orders/write");
    asked.reason = Some(HOSTILE.to_owned());
    let request = bed.client("ana").await.add_request(&asked).await.unwrap();
    let hearing = tokio::task::spawn_blocking(move || {
        let heard = peers.hear(1, 1);
        (peers, heard)
    });
    let (peers, (mail, hook)) = hearing.await.unwrap();
    assert_eq!(hook[0]["type"], "io.daypass.request.review_asked", "{hook:?}");
    assert_eq!(hook[0]["subject"], request.id.to_string());
    comes_as_it_should(&mail[0]);
    says_it_twice(&mail[0], request.id);
    // The mailbox said "later" once before it took this one.
    let metrics = bed.raw(Method::GET, "/metrics", None).send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    for line in [
        "daypass_notices_sent_total{channel=\"webhook/chat\"} 1",
        "daypass_notices_failed_total{channel=\"mail\"} 1",
        "daypass_notices_dead{channel=\"mail\"} 0",
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
    let logged = String::from_utf8_lossy(&crate::bed::log()).into_owned();
    for canary in [PASSWORD, SECRET, &SECRET[6..]] {
        assert!(!logged.contains(canary), "a secret was logged");
    }
    drop(peers);
    bed.server.stop().await;
}

//! Takes the pictures of the pages: runs the built demo, goes where its people go in Chromium, and keeps what they see.
//!
//! `cargo xtask screenshots` writes those of the README into `docs/pictures`, each in both themes; with `--every FOLDER` it writes
//! every screen instead, in both themes and at the widths of a desk and of a phone, for whoever works on the pages. Nothing in a picture is
//! drawn by hand: it is the demo's ninety days.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use daypass_testbed::Browser;
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use url::{ParseError, Url};

/// Where those of the README are.
const FOLDER: &str = "docs/pictures";
/// A desk's screen, and a phone's: wide and high, in pixels.
const DESK: (u32, u32) = (1280, 800);
const PHONE: (u32, u32) = (390, 844);
/// Of WebP: what letters need, and little more.
const QUALITY: u32 = 72;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// A screen: what its picture is called, whose it is, and where.
/// After `first:` stand a page and which of its links is followed; the two recordings are found by what they are of.
type Screen = (&'static str, &'static str, &'static str);

/// What the README shows.
const SHOWN: [Screen; 4] = [
    ("access", "ana", "/"),
    ("approvals", "cy", "/approvals"),
    ("replay", "dee", "terminal"),
    ("reports", "dee", "/reports"),
];

/// All of them.
const EVERY: [Screen; 24] = [
    ("access", "ana", "/"),
    ("catalogue", "ana", "/catalogue"),
    (
        "ask",
        "ana",
        "/ask/orders-prod/write?for=1h&reason=PAY-7%3A+fix+a+stuck+order",
    ),
    ("ask-refused", "ana", "/ask/orders-prod/write?for=9h"),
    ("break-glass", "bo", "/break-glass/orders-prod/write"),
    ("account", "ana", "/account"),
    ("approvals", "bo", "/approvals"),
    ("approvals-policy", "cy", "/approvals"),
    ("request", "bo", "first:/approvals .ask h2 a"),
    ("change", "cy", "first:/approvals a[href^='/changes/']"),
    ("who", "dee", "/who"),
    ("sessions", "dee", "/sessions?all=1"),
    ("session", "dee", "first:/sessions?all=1 a[href^='/sessions/']"),
    ("recording", "dee", "statements"),
    ("terminal", "dee", "terminal"),
    ("audit", "dee", "/audit"),
    ("verify", "dee", "/audit/verify"),
    ("reports", "dee", "/reports"),
    ("health", "root", "/health"),
    ("policy", "root", "/policy"),
    (
        "simulate",
        "root",
        "/policy/simulate?who=ana&what=orders-prod/write&for=1h",
    ),
    ("revisions", "root", "/policy/revisions"),
    ("palette", "ana", "/palette?q=orders"),
    ("not-found", "ana", "/requests/RAAAAAAAAAAAAAAAA"),
];

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let every = match (args.next().as_deref(), args.next()) {
        (None, None) => None,
        (Some("--every"), Some(folder)) => Some(PathBuf::from(folder)),
        _ => {
            eprintln!("cargo xtask screenshots [--every FOLDER]");
            return ExitCode::from(2);
        }
    };
    let runtime = tokio::runtime::Runtime::new();
    let taken = runtime
        .map_err(Into::into)
        .and_then(|runtime| runtime.block_on(take(every.as_deref())));
    match taken {
        Ok(taken) => {
            println!("{taken} pictures");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("✗ {error}");
            ExitCode::FAILURE
        }
    }
}

async fn take(every: Option<&Path>) -> Result<usize> {
    let demo = Demo::start()?;
    let driver = Browser::start()?;
    let mut taken = 0;
    let (folder, screens, sizes) = match every {
        Some(folder) => (folder, &EVERY[..], &[("desk", DESK), ("phone", PHONE)][..]),
        None => (Path::new(FOLDER), &SHOWN[..], &[("", DESK)][..]),
    };
    std::fs::create_dir_all(folder)?;
    for (size, (width, height)) in sizes {
        for (name, person, place) in screens {
            let eye = Eye::open(&driver, (*width, *height)).await?;
            eye.become_one(&demo, person).await?;
            eye.go(&demo, place).await?;
            for theme in ["light", "dark"] {
                let parts = [*name, size, theme].map(str::to_owned);
                let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
                let file = folder.join(format!("{}.webp", parts.join("-")));
                std::fs::write(&file, eye.picture(theme, every.is_some()).await?)?;
                taken += 1;
            }
            eye.client.close().await?;
        }
    }
    Ok(taken)
}

/// The demo, until it is dropped.
struct Demo {
    process: Child,
    /// Where its pages are, and the way in.
    base: String,
    enter: String,
}

impl Demo {
    fn start() -> Result<Self> {
        let own = std::env::current_exe()?;
        let built = own
            .parent()
            .and_then(Path::parent)
            .ok_or("an example has a folder")?;
        let mut process = Command::new(built.join("daypass"))
            .args(["demo", "--no-open"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let out = process.stdout.take().ok_or("it says something")?;
        let mut lines = BufReader::new(out).lines();
        let enter = loop {
            let line = lines
                .next()
                .ok_or("the demo ended before its pages were there")??;
            if let Some(at) = line.find("http://").filter(|_| line.contains("/demo/enter/")) {
                break line.get(at..).unwrap_or_default().trim().to_owned();
            }
        };
        // What it says from here on is not wanted, and must not make it wait.
        std::thread::spawn(move || lines.for_each(drop));
        let base = enter.split("/demo/").next().unwrap_or_default().to_owned();
        Ok(Self { process, base, enter })
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // By a signal that it hears, so that it stops what it began.
        if let Some(pid) = rustix::process::Pid::from_raw(self.process.id().cast_signed()) {
            let _gone = rustix::process::kill_process(pid, rustix::process::Signal::INT);
        }
        let _ended = self.process.wait();
    }
}

/// A browser, and what one sees in it.
struct Eye {
    client: Client,
}

impl Eye {
    async fn open(driver: &Browser, (width, height): (u32, u32)) -> Result<Self> {
        let mut args = vec![
            "--headless=new".to_owned(),
            "--disable-gpu".to_owned(),
            "--hide-scrollbars".to_owned(),
        ];
        if rustix::process::geteuid().is_root() {
            args.push("--no-sandbox".to_owned());
        }
        let Value::Object(wanted) = json!({"goog:chromeOptions": {"args": args}}) else {
            return Err("it is an object".into());
        };
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(wanted)
            .connect(&driver.address())
            .await?;
        let eye = Self { client };
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        eye.tells("Emulation.setDeviceMetricsOverride", metrics).await?;
        Ok(eye)
    }

    /// Comes in by the demo's door, as this person.
    async fn become_one(&self, demo: &Demo, person: &str) -> Result<()> {
        self.client.goto(&demo.enter).await?;
        let button = format!(".cast button[value='{person}']");
        let found = self.client.wait().for_element(Locator::Css(&button)).await?;
        found.click().await?;
        self.client.wait().for_element(Locator::Css("#rail")).await?;
        Ok(())
    }

    /// Goes to a screen.
    async fn go(&self, demo: &Demo, place: &str) -> Result<()> {
        let to = |place: &str| format!("{}{place}", demo.base);
        if place == "terminal" || place == "statements" {
            let what = if place == "terminal" { "web-2" } else { "ledger" };
            self.client.goto(&to("/sessions?all=1")).await?;
            let find = format!(
                "return [...document.querySelectorAll(\"a[href^='/sessions/']\")].find(one => ['tr', 'section', 'article'] \
                 .some(around => one.closest(around)?.textContent.includes('{what}')))?.getAttribute('href')"
            );
            let found = self.client.execute(&find, vec![]).await?;
            let session = found
                .as_str()
                .ok_or("there is no session of that kind")?
                .to_owned();
            self.client.goto(&to(&format!("{session}/recording"))).await?;
            if place == "terminal" {
                let play = Locator::Css("[data-play]");
                self.client.wait().for_element(play).await?.click().await?;
                let shown = Locator::Css(".screen .f3");
                self.client.wait().for_element(shown).await?;
            }
        } else if let Some((from, link)) = place
            .strip_prefix("first:")
            .and_then(|place| place.split_once(' '))
        {
            self.client.goto(&to(from)).await?;
            let found = self.client.find(Locator::Css(link)).await?;
            let address = found.attr("href").await?.unwrap_or_default();
            self.client.goto(&to(&address)).await?;
        } else {
            self.client.goto(&to(place)).await?;
        }
        Ok(())
    }

    /// The screen as it is in this theme; from top to bottom, or as much as fits.
    async fn picture(&self, theme: &str, whole: bool) -> Result<Vec<u8>> {
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": theme}]});
        self.tells("Emulation.setEmulatedMedia", features).await?;
        let mut how = json!({"format": "webp", "quality": QUALITY, "captureBeyondViewport": whole});
        if whole {
            let size = "const all = document.documentElement; return [all.clientWidth, Math.min(all.scrollHeight, 4000)]";
            let size = self.client.execute(size, vec![]).await?;
            let clip = json!({"x": 0, "y": 0, "width": size.get(0), "height": size.get(1), "scale": 1});
            how.as_object_mut().map(|how| how.insert("clip".to_owned(), clip));
        }
        let taken = self.tells("Page.captureScreenshot", how).await?;
        let picture = taken.get("data").and_then(Value::as_str);
        Ok(BASE64_STANDARD.decode(picture.ok_or("no picture")?)?)
    }

    async fn tells(&self, command: &str, params: Value) -> Result<Value> {
        let command = json!({"cmd": command, "params": params});
        Ok(self.client.issue_cmd(Own(command)).await?)
    }
}

/// A command of Chromium's own protocol.
#[derive(Debug)]
struct Own(Value);

impl WebDriverCompatibleCommand for Own {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> std::result::Result<Url, ParseError> {
        base.join(&format!(
            "session/{}/goog/cdp/execute",
            session.unwrap_or_default()
        ))
    }

    fn method_and_body(&self, _: &Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(self.0.to_string()))
    }
}

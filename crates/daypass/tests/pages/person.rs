//! Somebody with a browser of their own: what they do, what they see, and what their browser complained of.

use std::sync::LazyLock;

use daypass_testbed::{Browser, wait};
use fantoccini::elements::Element;
use fantoccini::error::{CmdError, ErrorStatus};
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use url::{ParseError, Url};

use crate::house::House;
use crate::running::PATIENCE;

/// One driver for all tests of this process; it ends with it.
static DRIVER: LazyLock<Browser> = LazyLock::new(|| Browser::start().unwrap());

/// Which browser somebody has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Having {
    pub(crate) width: u32,
    pub(crate) scripts: bool,
}

impl Default for Having {
    fn default() -> Self {
        Self {
            width: 1280,
            scripts: true,
        }
    }
}

/// See the module.
pub(crate) struct Person {
    runtime: Runtime,
    client: Client,
    name: String,
    url: String,
    /// What their browser may complain of: it was meant to happen.
    meant: Vec<String>,
}

impl Person {
    /// Starts their browser, which has no session yet.
    #[track_caller]
    pub(crate) fn comes(house: &House, name: &str, having: Having) -> Self {
        Self::visits(&house.url(), name, having)
    }

    /// Starts a browser for pages at this address.
    #[track_caller]
    pub(crate) fn visits(url: &str, name: &str, having: Having) -> Self {
        let mut args = vec![
            "--headless=new".to_owned(),
            "--disable-gpu".to_owned(),
            "--hide-scrollbars".to_owned(),
            format!("--window-size={},900", having.width),
        ];
        if rustix::process::geteuid().is_root() {
            args.push("--no-sandbox".to_owned());
        }
        let mut prefs = json!({});
        if !having.scripts {
            prefs["profile.managed_default_content_settings.javascript"] = json!(2);
        }
        let wanted = json!({
            "goog:chromeOptions": {"args": args, "prefs": prefs},
            "goog:loggingPrefs": {"browser": "ALL"},
        });
        let Value::Object(wanted) = wanted else {
            unreachable!("it is one")
        };
        let runtime = Runtime::new().unwrap();
        let client = runtime
            .block_on(
                ClientBuilder::new(HttpConnector::new())
                    .capabilities(wanted)
                    .connect(&DRIVER.address()),
            )
            .unwrap();
        Self {
            runtime,
            client,
            name: name.to_owned(),
            url: url.to_owned(),
            meant: Vec::new(),
        }
    }

    /// Comes and signs in.
    #[track_caller]
    pub(crate) fn enters(house: &House, name: &str) -> Self {
        Self::enters_having(house, name, Having::default())
    }

    /// Comes with such a browser, and signs in.
    #[track_caller]
    pub(crate) fn enters_having(house: &House, name: &str, having: Having) -> Self {
        let person = Self::comes(house, name, having);
        person.goes("/");
        person.signs_in(name, &house.passwords[name]);
        person.sees("#rail", "My access");
        person
    }

    /// Fills in the form that is there.
    #[track_caller]
    pub(crate) fn signs_in(&self, login: &str, password: &str) {
        self.types("#login", login);
        self.types("#password", password);
        self.clicks("button.primary");
    }

    /// Opens a page by its address.
    #[track_caller]
    pub(crate) fn goes(&self, path: &str) {
        let url = format!("{}{path}", self.url);
        self.runtime.block_on(self.client.goto(&url)).unwrap();
    }

    /// Opens a page again and again, until there is such a thing on it.
    #[track_caller]
    pub(crate) fn finds(&self, path: &str, what: &str) {
        let there = "return document.querySelector(arguments[0]) !== null";
        self.waits(what, || {
            self.goes(path);
            (self.script(there, &[what]) == true).then_some(())
        });
    }

    /// Where they are: path and query.
    #[track_caller]
    pub(crate) fn place(&self) -> String {
        let url = self.runtime.block_on(self.client.current_url()).unwrap();
        let query = url.query().map(|query| format!("?{query}"));
        format!("{}{}", url.path(), query.unwrap_or_default())
    }

    /// Waits until they are at a place that begins so.
    #[track_caller]
    pub(crate) fn arrives(&self, at: &str) -> String {
        self.waits(at, || {
            let place = self.place();
            place.starts_with(at).then_some(place)
        })
    }

    /// Replaces what is in a field.
    #[track_caller]
    pub(crate) fn types(&self, field: &str, text: &str) {
        self.does(field, async |element| {
            element.clear().await?;
            element.send_keys(text).await
        });
    }

    /// Presses or follows something.
    #[track_caller]
    pub(crate) fn clicks(&self, what: &str) {
        self.does(what, async |element| element.click().await);
    }

    /// Presses keys, wherever the focus is.
    #[track_caller]
    pub(crate) fn keys(&self, keys: &str) {
        let pressing = async {
            let element = self.client.active_element().await?;
            element.send_keys(keys).await
        };
        self.runtime.block_on(pressing).unwrap();
    }

    /// Waits until there is such a thing with this text.
    #[track_caller]
    pub(crate) fn sees(&self, what: &str, text: &str) {
        let there = "return [...document.querySelectorAll(arguments[0])].some(one => one.checkVisibility() && one.textContent.includes(arguments[1]))";
        self.waits(&format!("{text:?} in {what}"), || {
            (self.script(there, &[what, text]) == true).then_some(())
        });
    }

    /// Waits until there is no such thing.
    #[track_caller]
    pub(crate) fn misses(&self, what: &str) {
        let gone = "return ![...document.querySelectorAll(arguments[0])].some(one => one.checkVisibility())";
        self.waits(&format!("no {what}"), || {
            (self.script(gone, &[what]) == true).then_some(())
        });
    }

    /// Waits until a question of a script's is answered with yes.
    #[track_caller]
    pub(crate) fn holds(&self, question: &str) {
        self.waits(question, || {
            (self.script(&format!("return {question}"), &[]) == true).then_some(())
        });
    }

    /// The text of the first such thing, once there is one.
    #[track_caller]
    pub(crate) fn reads(&self, what: &str) -> String {
        let text = "return document.querySelector(arguments[0])?.textContent";
        self.waits(what, || self.script(text, &[what]).as_str().map(str::to_owned))
    }

    /// What a script answers. A page that goes away meanwhile answers nothing.
    #[track_caller]
    pub(crate) fn script(&self, script: &str, given: &[&str]) -> Value {
        let given = given.iter().map(|one| json!(one)).collect();
        match self.runtime.block_on(self.client.execute(script, given)) {
            Ok(answer) => answer,
            Err(error) if is_between_pages(&error) => Value::Null,
            Err(error) => panic!("{}: {script}: {error}", self.name),
        }
    }

    /// What a script answers that takes its time: it calls the last of its arguments.
    #[track_caller]
    pub(crate) fn long_script(&self, script: &str) -> Value {
        let answer = self.runtime.block_on(self.client.execute_async(script, vec![]));
        answer.unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }

    /// A command of Chromium's own protocol.
    #[track_caller]
    pub(crate) fn tells_browser(&self, command: &str, params: &Value) -> Value {
        self.own("goog/cdp/execute", json!({"cmd": command, "params": params}))
    }

    /// Has the system's setting for dark or light be so.
    #[track_caller]
    pub(crate) fn prefers(&self, scheme: &str) {
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.tells_browser("Emulation.setEmulatedMedia", &features);
    }

    /// Makes the page so wide, where a window cannot be.
    #[track_caller]
    pub(crate) fn is_as_wide_as(&self, width: u32) {
        let metrics = json!({"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": false});
        self.tells_browser("Emulation.setDeviceMetricsOverride", &metrics);
    }

    /// Something that the browser will complain of is meant to happen.
    pub(crate) fn means(&mut self, complaint: &str) {
        self.meant.push(complaint.to_owned());
    }

    /// Finds something that can be used, and uses it; again where the page was replaced meanwhile.
    #[track_caller]
    fn does(&self, what: &str, using: impl AsyncFn(&Element) -> Result<(), CmdError>) {
        self.waits(what, || {
            let done = self.runtime.block_on(async {
                let element = self.client.find(Locator::Css(what)).await?;
                using(&element).await
            });
            match done {
                Ok(()) => Some(()),
                Err(error) if is_between_pages(&error) => None,
                Err(error) => panic!("{}: {what}: {error}", self.name),
            }
        });
    }

    #[track_caller]
    fn waits<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let found = wait::until(what, PATIENCE, || Ok(look()));
        found.unwrap_or_else(|error| panic!("{} at {}: {error}\n{}", self.name, self.place(), self.page()))
    }

    /// What stands on the page, for whoever looks for why a test failed.
    fn page(&self) -> String {
        let text = self.script("return document.body.innerText", &[]);
        text.as_str().unwrap_or_default().to_owned()
    }

    fn own(&self, path: &'static str, body: Value) -> Value {
        let answer = self.runtime.block_on(self.client.issue_cmd(Own { path, body }));
        answer.unwrap_or_else(|error| panic!("{}: {path}: {error}", self.name))
    }

    /// What the browser complained of since it was last asked, but for what was meant to happen.
    fn complaints(&self) -> Vec<String> {
        let log = self.own("se/log", json!({"type": "browser"}));
        let lines = log.as_array().cloned().unwrap_or_default();
        let told = lines.iter().filter(|line| {
            // What is merely told is `INFO` and `DEBUG`.
            matches!(line["level"].as_str(), Some("SEVERE" | "WARNING"))
        });
        told.map(|line| line["message"].as_str().unwrap_or_default().to_owned())
            .filter(|line| !self.meant.iter().any(|meant| line.contains(meant)))
            .collect()
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        // A test that fails has a reason already, and the browser may be what it was.
        let complaints = if std::thread::panicking() {
            Vec::new()
        } else {
            self.complaints()
        };
        let closed = self.runtime.block_on(self.client.clone().close());
        if !std::thread::panicking() {
            closed.unwrap();
            assert!(
                complaints.is_empty(),
                "{}'s browser complained:\n{}",
                self.name,
                complaints.join("\n")
            );
        }
    }
}

/// Whether a page went away, or is not yet what is wanted, while the browser was asked.
fn is_between_pages(error: &CmdError) -> bool {
    let CmdError::Standard(error) = error else {
        return false;
    };
    matches!(
        error.error,
        ErrorStatus::NoSuchElement
            | ErrorStatus::StaleElementReference
            | ErrorStatus::ElementNotInteractable
            | ErrorStatus::ElementClickIntercepted
            | ErrorStatus::InvalidElementState
    ) || [
        "document unloaded",
        "Execution context",
        "execution context",
        "target frame detached",
    ]
    .iter()
    .any(|part| error.message.contains(part))
}

/// A command of the driver's own, of a session.
#[derive(Debug)]
struct Own {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Own {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(self.body.to_string()))
    }
}

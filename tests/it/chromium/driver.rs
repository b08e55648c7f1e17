//! Chromium as a person uses it: everything is found by its visible words, and clicked. Spoken to through chromedriver
//! over `WebDriver`, which is JSON over HTTP.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStdout, Command};

use crate::common::tools;

/// How long a page may take to show what is waited for; the limit of a wait, not a measure.
const PATIENCE: Duration = Duration::from_secs(30);
/// Widths in which every page that is looked at must fit: a desktop's and a telephone's.
const WIDTHS: [u32; 2] = [1280, 400];
/// A folder that gets a picture of each page that is looked at, for a person to look at too.
const SCREENSHOTS: &str = "SETPOINT_SCREENSHOTS";

/// A browser of its own profile. Its processes end with it.
pub(super) struct Chromium {
    http: reqwest::Client,
    session: String,
    browser: Option<u64>,
    driver: Child,
    _log: BufReader<ChildStdout>,
    profile: TempDir,
}

impl Chromium {
    /// Starts it; none where it is not installed.
    pub(super) async fn start() -> Option<Self> {
        let (chromium, chromedriver) = (tools::find("chromium")?, tools::find("chromedriver")?);
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let profile = tempfile::tempdir().unwrap();
        let mut driver = Command::new(chromedriver)
            .arg("--port=0")
            .env("HOME", profile.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut log = BufReader::new(driver.stdout.take().unwrap());
        let port = port(&mut log).await;
        let mut started = Self {
            http,
            session: format!("http://127.0.0.1:{port}/session"),
            browser: None,
            driver,
            _log: log,
            profile,
        };
        started.open_session(&chromium).await;
        Some(started)
    }

    async fn open_session(&mut self, chromium: &PathBuf) {
        let profile = format!("--user-data-dir={}", self.profile.path().join("profile").display());
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--window-size=1280,900",
            &profile,
        ];
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": { "binary": chromium, "args": arguments },
        } } });
        let opened = self.call(Method::POST, "", wanted).await;
        self.browser = opened["capabilities"]["goog:processID"].as_u64();
        self.session = format!("{}/{}", self.session, opened["sessionId"].as_str().unwrap());
    }

    /// Ends it as a person does, by closing.
    pub(super) async fn quit(mut self) {
        self.call(Method::DELETE, "", Value::Null).await;
        self.browser = None;
    }

    /// Opens an address.
    pub(super) async fn open(&self, url: &str) {
        self.call(Method::POST, "/url", json!({ "url": url })).await;
    }

    /// Clicks the one button or link of these words.
    pub(super) async fn press(&self, words: &str) {
        let words = quoted(words);
        let element = self
            .one(&format!(
                "//button[normalize-space()={words}] | //a[normalize-space()={words}]"
            ))
            .await;
        self.click(&element).await;
    }

    /// Types into the one field of this label, in place of what is there.
    pub(super) async fn fill(&self, label: &str, text: &str) {
        let label = quoted(label);
        let element = self
            .one(&format!(
                "//*[self::input or self::textarea][@id=//label[normalize-space()={label}]/@for]"
            ))
            .await;
        self.call(Method::POST, &format!("/element/{element}/clear"), json!({}))
            .await;
        self.call(
            Method::POST,
            &format!("/element/{element}/value"),
            json!({ "text": text }),
        )
        .await;
    }

    /// Ticks the one box of this label, if it is not ticked.
    pub(super) async fn tick(&self, label: &str) {
        let label = quoted(label);
        let element = self
            .one(&format!(
                "//input[@type='checkbox'][@id=//label[normalize-space()={label}]/@for or ancestor::label[normalize-space()={label}]]"
            ))
            .await;
        let selected = format!("/element/{element}/selected");
        if self.call(Method::GET, &selected, Value::Null).await == json!(false) {
            self.click(&element).await;
        }
        assert_eq!(self.call(Method::GET, &selected, Value::Null).await, json!(true));
    }

    /// Waits until the page shows a heading of these words.
    pub(super) async fn heading(&self, words: &str) {
        let words = quoted(words);
        self.one(&format!(
            "//*[self::h1 or self::h2 or self::h3][normalize-space()={words}]"
        ))
        .await;
    }

    /// Waits until the page says this.
    pub(super) async fn says(&self, words: &str) {
        self.wait_for(&format!("\"{words}\""), async || {
            self.text().await.contains(words).then_some(())
        })
        .await;
    }

    /// The text of the page, as it is seen.
    pub(super) async fn text(&self) -> String {
        let text = self.script("return document.body ? document.body.innerText : ''").await;
        text.as_str().unwrap_or_default().to_owned()
    }

    /// The window that the button of these words opens; the browser then stands in it. Gives the one it stood in.
    pub(super) async fn popup_of(&self, words: &str) -> Value {
        let before = self.windows().await;
        let opener = self.call(Method::GET, "/window", Value::Null).await;
        self.press(words).await;
        let popup = self
            .wait_for("a new window", async || {
                self.windows().await.into_iter().find(|window| !before.contains(window))
            })
            .await;
        self.stand_in(&popup).await;
        opener
    }

    /// Closes the window the browser stands in, and goes to another.
    pub(super) async fn close_for(&self, other: &Value) {
        self.call(Method::DELETE, "/window", Value::Null).await;
        self.stand_in(other).await;
    }

    /// Requires that the page fits in a wide and in a small window, and keeps a picture of each where that is asked for.
    pub(super) async fn look(&self, name: &str) {
        for width in WIDTHS {
            let size = json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false });
            self.devtools("Emulation.setDeviceMetricsOverride", size).await;
            let wide = self
                .script("return document.documentElement.scrollWidth - window.innerWidth")
                .await;
            assert!(
                wide.as_i64().is_some_and(|wide| wide <= 0),
                "{name} is wider than {width} by {wide}"
            );
            if let Some(folder) = std::env::var_os(SCREENSHOTS) {
                let picture = self.call(Method::GET, "/screenshot", Value::Null).await;
                let bytes = base64::Engine::decode(
                    &base64::engine::general_purpose::STANDARD,
                    picture.as_str().unwrap_or_default(),
                );
                let file = PathBuf::from(folder).join(format!("{name}-{width}.png"));
                std::fs::write(file, bytes.unwrap()).unwrap();
            }
        }
        self.devtools("Emulation.clearDeviceMetricsOverride", json!({})).await;
    }

    async fn windows(&self) -> Vec<Value> {
        let windows = self.call(Method::GET, "/window/handles", Value::Null).await;
        windows.as_array().unwrap().clone()
    }

    async fn stand_in(&self, window: &Value) {
        self.call(Method::POST, "/window", json!({ "handle": window })).await;
    }

    async fn click(&self, element: &str) {
        self.call(Method::POST, &format!("/element/{element}/click"), json!({}))
            .await;
    }

    async fn script(&self, script: &str) -> Value {
        self.call(Method::POST, "/execute/sync", json!({ "script": script, "args": [] }))
            .await
    }

    async fn devtools(&self, command: &str, parameters: Value) {
        self.call(
            Method::POST,
            "/goog/cdp/execute",
            json!({ "cmd": command, "params": parameters }),
        )
        .await;
    }

    /// The one visible element of an `XPath`.
    async fn one(&self, xpath: &str) -> String {
        self.wait_for(xpath, async || {
            let [element] = <[String; 1]>::try_from(self.visible(xpath).await.ok()?).ok()?;
            Some(element)
        })
        .await
    }

    /// Fails where the page changes while it is looked at.
    async fn visible(&self, xpath: &str) -> Result<Vec<String>, Value> {
        let query = json!({ "using": "xpath", "value": xpath });
        let found = self.ask(Method::POST, "/elements", query).await?;
        let ids = found.as_array().into_iter().flatten();
        let ids = ids.filter_map(|element| element.as_object()?.values().next()?.as_str());
        let mut visible = Vec::new();
        for id in ids {
            let shown = format!("/element/{id}/displayed");
            if self.ask(Method::GET, &shown, Value::Null).await? == json!(true) {
                visible.push(id.to_owned());
            }
        }
        Ok(visible)
    }

    async fn wait_for<T>(&self, what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
        let waited = tokio::time::timeout(PATIENCE, async {
            loop {
                if let Some(found) = look().await {
                    return found;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        if let Ok(found) = waited.await {
            return found;
        }
        panic!("{what} is not there, or not once, on\n{}", self.text().await)
    }

    async fn call(&self, method: Method, path: &str, body: Value) -> Value {
        match self.ask(method.clone(), path, body).await {
            Ok(value) => value,
            Err(error) => panic!("{method} {path}: {}: {}", error["error"], error["message"]),
        }
    }

    /// One command; `Err` is `WebDriver`'s own error.
    async fn ask(&self, method: Method, path: &str, body: Value) -> Result<Value, Value> {
        let mut request = self.http.request(method, format!("{}{path}", self.session));
        if !body.is_null() {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        let failed = !answer.status().is_success();
        let mut answer: Value = answer.json().await.unwrap();
        let value = answer["value"].take();
        if failed { Err(value) } else { Ok(value) }
    }
}

impl Drop for Chromium {
    /// Also where a test fails: the browser first, then the driver, which has it as its child.
    fn drop(&mut self) {
        if let Some(browser) = self.browser.take() {
            let _ = std::process::Command::new("kill")
                .args(["-9", &browser.to_string()])
                .status();
        }
        let _ = self.driver.start_kill();
    }
}

/// The port that chromedriver says it took.
async fn port(log: &mut BufReader<ChildStdout>) -> u16 {
    let mut line = String::new();
    while log.read_line(&mut line).await.unwrap() > 0 {
        if let Some((_, port)) = line
            .trim_end()
            .trim_end_matches('.')
            .split_once("successfully on port ")
        {
            return port.parse().unwrap();
        }
        line.clear();
    }
    panic!("chromedriver did not start");
}

/// Words as a literal of `XPath`, which has no escapes.
fn quoted(words: &str) -> String {
    assert!(!words.contains('"'), "{words}");
    format!("\"{words}\"")
}

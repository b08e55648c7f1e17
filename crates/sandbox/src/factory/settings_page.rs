//! Factory's settings page, with the fields and buttons that its guide names: Settings > Integrations > GitLab >
//! Self-Hosted. It is what the operator of the `assisted` driver clicks through.
//!
//! Plain forms, no script needed. Nobody has to sign in: the page is served on loopback to whoever runs the sandbox, who
//! is taken for an Owner. Forms that other sites send are refused by their `Origin`.

use std::fmt::Write as _;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use serde::Deserialize;

use super::integration::{self, Refusal, Repository, audit};
use crate::gitlab::pages_html::{Layout, escape};
use crate::state::App;

const PAGE: &str = "/settings/integrations";
/// What the audit log says of changes that come by this page.
const SOURCE: &str = "web_settings_integrations";
/// Shows the page anew when the window of the authorization has come to its end, see [`super::connect`].
const FOLLOW_THE_POPUP: &str =
    "new BroadcastChannel('gitlab-sh').onmessage=function(){location.replace('/settings/integrations')}";
/// Repositories on one page.
const ROWS: usize = 200;

/// The routes of this module.
pub(super) fn router() -> Router<App> {
    Router::new()
        .route("/", get(async || Redirect::to(PAGE)))
        .route("/settings", get(async || Redirect::to(PAGE)))
        .route(PAGE, get(show))
        .route("/settings/integrations/gitlab-sh", post(save))
        .route("/settings/integrations/gitlab-sh/authorizations", post(authorize))
        .route("/settings/integrations/gitlab-sh/repositories", post(select))
        .route("/settings/integrations/gitlab-sh/disconnect", post(disconnect))
}

#[derive(Deserialize, Default)]
struct Shown {
    /// Part of a full path that repositories must contain.
    search: Option<String>,
    /// The id after which the list goes on.
    after: Option<u64>,
    /// What was done before: a key of [`NOTICES`].
    done: Option<String>,
}

/// What the page says after a form was taken.
const NOTICES: [(&str, &str); 3] = [
    ("saved", "GitLab Self-Hosted was saved."),
    ("selected", "The repository selection was saved."),
    ("disconnected", "GitLab Self-Hosted was disconnected."),
];

async fn show(State(app): State<App>, Query(shown): Query<Shown>) -> Response {
    let notice = NOTICES
        .iter()
        .find(|(key, _)| shown.done.as_deref() == Some(*key))
        .map(|(_, text)| *text);
    render(&app, StatusCode::OK, notice, &shown).await
}

async fn save(State(app): State<App>, headers: HeaderMap, body: Bytes) -> Response {
    let form = match take(&app, &headers, &body) {
        Ok(form) => form,
        Err(refusal) => return refused(&app, &refusal).await,
    };
    let given = |name: &str| {
        form.iter()
            .find(|(key, _)| key == name)
            .map_or("", |(_, value)| value.trim())
            .to_owned()
    };
    let (domain, application_id, mut secret) = (given("domain"), given("applicationId"), given("secret"));
    if secret.is_empty() {
        // The page never shows the secret: an empty field leaves it as it is.
        let stored = app.read(|world| {
            world
                .factory
                .integration
                .as_ref()
                .map(|integration| integration.secret.clone())
        });
        secret = stored.unwrap_or_default();
    }
    let saved = if application_id.is_empty() || secret.is_empty() {
        Err(Refusal::new(
            StatusCode::BAD_REQUEST,
            "Application ID and Secret must be filled in",
        ))
    } else {
        integration::save(&app, &domain, &application_id, &secret, SOURCE)
    };
    match saved {
        Ok(()) => done("saved"),
        Err(refusal) => refused(&app, &refusal).await,
    }
}

async fn authorize(State(app): State<App>, headers: HeaderMap, body: Bytes) -> Response {
    let started = take(&app, &headers, &body).and_then(|_| integration::start_attempt(&app));
    match started {
        Ok((_, url)) => Redirect::to(&url).into_response(),
        Err(refusal) => refused(&app, &refusal).await,
    }
}

async fn disconnect(State(app): State<App>, headers: HeaderMap, body: Bytes) -> Response {
    match take(&app, &headers, &body) {
        Ok(_) => {
            integration::remove(&app, SOURCE);
            done("disconnected")
        }
        Err(refusal) => refused(&app, &refusal).await,
    }
}

/// Takes the ticks of the rows that the page showed; rows elsewhere stay as they are.
async fn select(State(app): State<App>, headers: HeaderMap, body: Bytes) -> Response {
    let form = match take(&app, &headers, &body) {
        Ok(form) => form,
        Err(refusal) => return refused(&app, &refusal).await,
    };
    let ids = |name: &str| -> Vec<u64> {
        form.iter()
            .filter(|(key, _)| key == name)
            .filter_map(|(_, value)| value.parse().ok())
            .collect()
    };
    let (on_page, ticked) = (ids("shown"), ids("enabled"));
    // Only what the authorized user sees can be ticked, also where somebody wrote the form by hand.
    let visible = match integration::visible(&app).await {
        Ok(visible) => visible,
        Err(refusal) => return refused(&app, &refusal).await,
    };
    app.write(|world| {
        let before = world.factory.enabled.clone();
        for id in on_page {
            if ticked.contains(&id) && visible.contains(&id) {
                world.factory.enabled.insert(id);
            } else if !ticked.contains(&id) {
                world.factory.enabled.remove(&id);
            }
        }
        if before != world.factory.enabled {
            audit(world, "availability_changed", SOURCE);
        }
    });
    done("selected")
}

fn done(key: &str) -> Response {
    Redirect::to(&format!("{PAGE}?done={key}")).into_response()
}

/// The fields of a form, where this site's own page sent it and the plan and the role allow it.
fn take(app: &App, headers: &HeaderMap, body: &Bytes) -> Result<Vec<(String, String)>, Refusal> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let own = header("host").map(|host| format!("http://{host}"));
    let secure = header("host").map(|host| format!("https://{host}"));
    let foreign = |origin: &str| Some(origin) != own.as_deref() && Some(origin) != secure.as_deref();
    if header("origin").is_some_and(foreign) {
        return Err(Refusal::new(StatusCode::FORBIDDEN, "This form came from another site"));
    }
    app.read(|world| {
        if world.switches.factory_plan_too_small || world.factory.plan != "enterprise" {
            return Err(Refusal::new(
                StatusCode::PAYMENT_REQUIRED,
                "GitLab Self-Hosted needs the Enterprise plan",
            ));
        }
        if world.switches.factory_role_too_low {
            return Err(Refusal::new(
                StatusCode::FORBIDDEN,
                "Only an Owner or a Manager may change integrations",
            ));
        }
        Ok(())
    })?;
    Ok(url::form_urlencoded::parse(body).into_owned().collect())
}

async fn refused(app: &App, refusal: &Refusal) -> Response {
    render(app, refusal.status, Some(&refusal.detail), &Shown::default()).await
}

async fn render(app: &App, status: StatusCode, notice: Option<&str>, shown: &Shown) -> Response {
    let repositories = repositories(app, shown).await;
    // After the repositories: reading them may have found the authorization dead.
    let content = format!(
        "<h1>Integrations</h1>\n<h2>GitLab</h2>\n<p><a href=\"#connect\">Connect</a></p>\n\
         <section id=\"connect\">\n<p><a href=\"#self-hosted\">Self-Hosted</a></p>\n\
         <h3 id=\"self-hosted\">Self-Hosted</h3>\n{}\n{repositories}\n</section>\n\
         <p><small>Organization {}. You are taken for an Owner: this sandbox asks nobody to sign in.</small></p>\n\
         <script>{FOLLOW_THE_POPUP}</script>",
        connection(app),
        escape(&app.read(|world| world.factory.name.clone())),
    );
    let layout = Layout {
        title: "Integrations",
        csrf: "",
        flash: notice,
        bar: "<a href=\"/settings/integrations\">Settings</a>",
        accent: "#d15010",
        product: "Factory",
    };
    (status, Html(layout.page(&content))).into_response()
}

/// Status, the three fields with Save, and the button of the authorization.
fn connection(app: &App) -> String {
    let stored = app.read(|world| world.factory.integration.clone());
    let status = match stored.as_ref().map(|integration| integration.authorization.as_ref()) {
        None => "Not configured".to_owned(),
        Some(None) => "Configured, not authorized yet".to_owned(),
        Some(Some(authorization)) => match &authorization.broken {
            None => format!("Connected as {}", authorization.username),
            Some(reason) => format!("Error: {reason}"),
        },
    };
    let (domain, application_id) = stored
        .as_ref()
        .map(|integration| (integration.domain.as_str(), integration.application_id.as_str()))
        .unwrap_or_default();
    let hint = if stored.is_some() {
        "Saved. Leave empty to keep it."
    } else {
        "GitLab shows it once."
    };
    // In the order in which Factory's guide has them: the permissions at the top right, the form below.
    let permissions = if stored.is_some() {
        "<div class=\"row\">\n<form id=\"permissions\" action=\"/settings/integrations/gitlab-sh/authorizations\" method=\"post\" target=\"_blank\">\n\
             <button type=\"submit\" class=\"submit\">Manage GitLab Self-Hosted Permissions</button>\n</form>\n\
             <form id=\"disconnect\" action=\"/settings/integrations/gitlab-sh/disconnect\" method=\"post\">\n\
             <button type=\"submit\">Disconnect</button>\n</form>\n</div>\n"
    } else {
        ""
    };
    format!(
        "{permissions}<p>Status: <strong id=\"status\">{status}</strong></p>\n\
         <p>Redirect URI to register in GitLab: <code id=\"redirect-uri\">{redirect_uri}</code></p>\n\
         <form id=\"gitlab-self-hosted\" action=\"/settings/integrations/gitlab-sh\" method=\"post\">\n\
         <p><label for=\"domain\">Domain</label><br><input type=\"text\" id=\"domain\" name=\"domain\" value=\"{domain}\" placeholder=\"https://gitlab.example.com\"></p>\n\
         <p><label for=\"applicationId\">Application ID</label><br><input type=\"text\" id=\"applicationId\" name=\"applicationId\" value=\"{application_id}\"></p>\n\
         <p><label for=\"secret\">Secret</label><br><input type=\"password\" id=\"secret\" name=\"secret\" autocomplete=\"off\"><br><small>{hint}</small></p>\n\
         <button type=\"submit\" class=\"submit\">Save</button>\n</form>\n",
        status = escape(&status),
        redirect_uri = escape(&integration::redirect_uri(app)),
        domain = escape(domain),
        application_id = escape(application_id),
    )
}

async fn repositories(app: &App, shown: &Shown) -> String {
    let heading = "<h3>Repository Selection</h3>";
    if app.read(|world| {
        world
            .factory
            .integration
            .as_ref()
            .is_none_or(|integration| integration.authorization.is_none())
    }) {
        return format!("{heading}\n<p>Repositories show here once GitLab is connected.</p>");
    }
    let search = shown.search.as_deref().unwrap_or_default().trim();
    match integration::repositories(app, None, Some(search), shown.after.unwrap_or(0), ROWS).await {
        Ok((rows, next)) => format!("{heading}\n{}", selection(&rows, search, next)),
        Err(refusal) => format!("{heading}\n<p class=\"error\">{}</p>", escape(&refusal.detail)),
    }
}

fn selection(repositories: &[Repository], search: &str, next: Option<u64>) -> String {
    let mut html = format!(
        "<form id=\"search\" action=\"{PAGE}\" method=\"get\">\n<input type=\"text\" name=\"search\" id=\"search-term\" aria-label=\"Search repositories\" value=\"{}\">\n\
         <button type=\"submit\">Search</button>\n</form>\n\
         <form id=\"repositories\" action=\"/settings/integrations/gitlab-sh/repositories\" method=\"post\">\n",
        escape(search)
    );
    for Repository {
        id,
        full_path,
        enabled,
        archived,
    } in repositories
    {
        let _ = writeln!(
            html,
            "<div><input type=\"hidden\" name=\"shown\" value=\"{id}\"><label><input type=\"checkbox\" name=\"enabled\" value=\"{id}\"{}> {}</label>{}</div>",
            if *enabled { " checked" } else { "" },
            escape(full_path),
            if *archived { " <small>archived</small>" } else { "" },
        );
    }
    if repositories.is_empty() {
        html.push_str("<p>No repository is visible to the authorized GitLab user here.</p>\n");
    }
    html.push_str("<p><button type=\"submit\" class=\"submit\">Save selection</button></p>\n</form>\n");
    if let Some(next) = next {
        let search: String = url::form_urlencoded::byte_serialize(search.as_bytes()).collect();
        let _ = writeln!(
            html,
            "<p><a rel=\"next\" href=\"{PAGE}?search={search}&amp;after={next}\">More repositories</a></p>"
        );
    }
    html
}

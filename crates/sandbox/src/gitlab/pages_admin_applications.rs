//! Admin area > Applications: the only place where an instance-wide OAuth application can be edited and trusted.
//!
//! GitLab: `admin/applications_controller.rb`, views admin/applications and shared/doorkeeper/applications. What is wrong
//! with a form is told with status 200; a secret is shown on the page that answers its creation and never again.

use std::fmt::Write as _;

use axum::http::StatusCode;
use serde_json::json;

use super::pages_admin::enter;
use super::pages_html::{Form, each, escape};
use super::pages_http::Page;
use super::pages_visit::Visit;
use crate::generation::{Generation, PageKind};
use crate::world::{Application, digest, random_hex};

/// `GET /admin/applications`
pub(super) fn index(visit: &mut Visit<'_>) -> Page {
    if let Err(page) = enter(visit) {
        return page;
    }
    let csrf = visit.csrf();
    let yes = |flag: bool| if flag { "Yes" } else { "No" };
    let mut rows = String::new();
    for application in &visit.world.applications {
        let path = visit.path(&format!("/admin/applications/{}", application.id));
        let _ = writeln!(
            rows,
            "<tr id=\"application_{}\"><td data-label=\"Name\"><a href=\"{path}\">{}</a></td>\
             <td data-label=\"Callback URL\">{}</td><td data-label=\"Trusted\">{}</td><td data-label=\"Confidential\">{}</td>\
             <td data-label=\"Actions\"><a href=\"{path}/edit\">Edit</a> {}</td></tr>",
            application.id,
            escape(&application.name),
            escape(&application.redirect_uri),
            yes(application.trusted),
            yes(application.confidential),
            delete_form(&path, application.id, &csrf),
            path = escape(&path),
        );
    }
    let content = format!(
        "<h1>Instance OAuth applications</h1>\n<p><a data-testid=\"new-application-button\" href=\"{}\">Add new application</a></p>\n\
         <table>\n<thead><tr><th>Name</th><th>Callback URL</th><th>Trusted</th><th>Confidential</th><th>Actions</th></tr></thead>\n\
         <tbody data-testid=\"oauth-applications\">\n{rows}</tbody>\n</table>",
        escape(&visit.path("/admin/applications/new"))
    );
    visit.page(StatusCode::OK, "Instance OAuth applications", None, &content)
}

/// `GET /admin/applications/new`
pub(super) fn new(visit: &mut Visit<'_>) -> Page {
    match enter(visit) {
        Ok(_) => {
            let blank = Application {
                confidential: true,
                ..Application::default()
            };
            render_form(visit, &blank, &[])
        }
        Err(page) => page,
    }
}

/// `POST /admin/applications`: 200 either way, with the secret or with what is wrong. Where secrets are not hashed, the
/// page shows the secret at any time, and success is a redirect to it.
pub(super) fn create(visit: &mut Visit<'_>) -> Page {
    if let Err(page) = forgery_or_door(visit) {
        return page;
    }
    let mut application = Application {
        confidential: true,
        ..Application::default()
    };
    if !assign(visit, &mut application) {
        return bad_request(visit);
    }
    let faults = faults(visit, &application);
    if !faults.is_empty() {
        return render_form(visit, &application, &faults);
    }
    let secret = new_secret();
    application.id = visit.world.next_id("application");
    application.uid = random_hex(32);
    application.created_at = visit.now;
    keep_secret(visit, &mut application, &secret);
    visit.world.applications.push(application.clone());
    if !visit.world.switches.hash_secrets {
        let path = format!("/admin/applications/{}", application.id);
        return visit.redirect(&path, Some(("notice", "The application was created successfully.")));
    }
    render_show(
        visit,
        &application,
        Some(&secret),
        Some("The application was created successfully."),
    )
}

/// `GET /admin/applications/:id`
pub(super) fn show(visit: &mut Visit<'_>, id: &str) -> Page {
    match door_and_application(visit, id) {
        Ok(application) => {
            let secret = application.secret_plain.clone();
            render_show(visit, &application, secret.as_deref(), None)
        }
        Err(page) => page,
    }
}

/// `GET /admin/applications/:id/edit`
pub(super) fn edit(visit: &mut Visit<'_>, id: &str) -> Page {
    match door_and_application(visit, id) {
        Ok(application) => render_form(visit, &application, &[]),
        Err(page) => page,
    }
}

/// `PATCH` or `PUT /admin/applications/:id`: any subset of the fields. 302 to the page, or 200 with what is wrong.
pub(super) fn update(visit: &mut Visit<'_>, id: &str) -> Page {
    if !visit.csrf_valid() {
        return Visit::rejected();
    }
    let mut application = match door_and_application(visit, id) {
        Ok(application) => application,
        Err(page) => return page,
    };
    if !assign(visit, &mut application) {
        return bad_request(visit);
    }
    let faults = faults(visit, &application);
    if !faults.is_empty() {
        return render_form(visit, &application, &faults);
    }
    let path = format!("/admin/applications/{}", application.id);
    store(visit, application);
    visit.redirect(&path, Some(("notice", "Application was successfully updated.")))
}

/// `PUT /admin/applications/:id/renew`: a new secret, as JSON. Tokens that are out stay alive.
pub(super) fn renew(visit: &mut Visit<'_>, id: &str) -> Page {
    if !visit.csrf_valid() {
        return Visit::rejected();
    }
    let mut application = match door_and_application(visit, id) {
        Ok(application) => application,
        Err(page) => return page,
    };
    let faults = faults(visit, &application);
    if !faults.is_empty() {
        return Page::json(StatusCode::UNPROCESSABLE_ENTITY, &json!({ "errors": faults }));
    }
    let secret = new_secret();
    keep_secret(visit, &mut application, &secret);
    store(visit, application);
    Page::json(StatusCode::OK, &json!({ "secret": secret }))
}

/// `DELETE /admin/applications/:id`: with all its grants and tokens.
pub(super) fn destroy(visit: &mut Visit<'_>, id: &str) -> Page {
    if !visit.csrf_valid() {
        return Visit::rejected();
    }
    let application = match door_and_application(visit, id) {
        Ok(application) => application,
        Err(page) => return page,
    };
    visit.world.applications.retain(|other| other.id != application.id);
    visit
        .world
        .grants
        .retain(|grant| grant.application_id != application.id);
    visit
        .world
        .oauth_tokens
        .retain(|token| token.application_id != application.id);
    visit.redirect(
        "/admin/applications",
        Some(("notice", "Application was successfully destroyed.")),
    )
}

/// A secret as GitLab makes them: its prefix and 64 hexadecimal digits.
fn new_secret() -> String {
    format!("gloas-{}", random_hex(32))
}

fn keep_secret(visit: &Visit<'_>, application: &mut Application, secret: &str) {
    application.secret_digest = digest(secret);
    application.secret_plain = (!visit.world.switches.hash_secrets).then(|| secret.to_owned());
}

fn store(visit: &mut Visit<'_>, application: Application) {
    if let Some(place) = visit
        .world
        .applications
        .iter_mut()
        .find(|other| other.id == application.id)
    {
        *place = application;
    }
}

fn forgery_or_door(visit: &mut Visit<'_>) -> Result<(), Page> {
    if !visit.csrf_valid() {
        return Err(Visit::rejected());
    }
    enter(visit).map(|_| ())
}

fn door_and_application(visit: &mut Visit<'_>, id: &str) -> Result<Application, Page> {
    enter(visit)?;
    let found = id.parse().ok().and_then(|id| visit.world.application(id)).cloned();
    found.ok_or_else(Visit::not_found)
}

/// Takes what the form sent. `false` where nothing came under the prefix of this version: Rails' required parameter.
fn assign(visit: &Visit<'_>, application: &mut Application) -> bool {
    let prefix = visit.world.switches.application_form_prefix();
    let given = |field: &str| visit.request.param(&format!("{prefix}[{field}]"));
    let scopes_name = format!("{prefix}[scopes][]");
    let scopes: Vec<&str> = visit
        .request
        .form
        .iter()
        .filter(|(name, _)| *name == scopes_name)
        .map(|(_, value)| value.as_str())
        .filter(|value| !value.is_empty())
        .collect();
    if !visit
        .request
        .form
        .iter()
        .any(|(name, _)| name.starts_with(&format!("{prefix}[")))
    {
        return false;
    }
    if let Some(name) = given("name") {
        name.clone_into(&mut application.name);
    }
    if let Some(uris) = given("redirect_uri") {
        // A browser sends the line ends of a text area as CR LF, and GitLab keeps them.
        uris.clone_into(&mut application.redirect_uri);
    }
    if let Some(trusted) = given("trusted") {
        application.trusted = truthy(trusted);
    }
    if let Some(confidential) = given("confidential") {
        application.confidential = truthy(confidential);
    }
    if visit.request.form.iter().any(|(name, _)| *name == scopes_name) {
        application.scopes = scopes.into_iter().map(ToOwned::to_owned).collect();
    }
    true
}

fn truthy(value: &str) -> bool {
    !matches!(value, "" | "0" | "f" | "false" | "off")
}

fn bad_request(visit: &mut Visit<'_>) -> Page {
    visit.page(
        StatusCode::BAD_REQUEST,
        "Bad request",
        None,
        "<h1>400</h1><p>param is missing or the value is empty</p>",
    )
}

/// What is wrong with an application, as Rails words it.
fn faults(visit: &Visit<'_>, application: &Application) -> Vec<String> {
    let mut faults = Vec::new();
    if application.name.trim().is_empty() {
        faults.push("Name can't be blank".to_owned());
    }
    if application.redirect_uri.trim().is_empty() {
        faults.push("Redirect URI can't be blank".to_owned());
    }
    for uri in application.redirect_uri.split_whitespace() {
        match url::Url::parse(uri) {
            Err(_) => faults.push("Redirect URI must be a valid URI.".to_owned()),
            Ok(url) if matches!(url.scheme(), "javascript" | "data" | "vbscript") => {
                faults.push("Redirect URI is forbidden by the server.".to_owned());
            }
            Ok(url) if url.fragment().is_some() => {
                faults.push("Redirect URI cannot contain a fragment.".to_owned());
            }
            Ok(_) => {}
        }
    }
    if application.scopes.is_empty() {
        faults.push("Scopes can't be blank".to_owned());
    }
    let known = visit.world.switches.known_scopes();
    if application.scopes.iter().any(|scope| !known.contains(&scope.as_str())) {
        faults.push("Scopes doesn't match configured on the server.".to_owned());
    }
    faults
}

fn delete_form(path: &str, id: u64, csrf: &str) -> String {
    Form::open(&format!("delete_{id}"), path, "delete", csrf).submit_quietly("Destroy")
}

fn render_form(visit: &mut Visit<'_>, application: &Application, faults: &[String]) -> Page {
    if visit.unheard_of(PageKind::Application) {
        return visit.unheard_page();
    }
    let csrf = visit.csrf();
    let prefix = visit.world.switches.application_form_prefix();
    let field = |name: &str| format!("{prefix}[{name}]");
    let (title, action, method, id) = if application.id == 0 {
        (
            "New application",
            visit.path("/admin/applications"),
            "post",
            format!("new_{prefix}"),
        )
    } else {
        let path = visit.path(&format!("/admin/applications/{}", application.id));
        (
            "Edit application",
            path,
            "patch",
            format!("edit_{prefix}_{}", application.id),
        )
    };
    let mut form = Form::open(&id, &action, method, &csrf);
    if !faults.is_empty() {
        let items = each(faults, "<li>", "</li>");
        form = form.raw(&format!(
            "<div id=\"error_explanation\" class=\"error gl-alert-danger\"><h4>The form contains the following {}:</h4><ul>{items}</ul></div>",
            if faults.len() == 1 { "error" } else { "errors" }
        ));
    }
    form = form
        .input("text", &field("name"), "Name", &application.name)
        .text_area(
            &field("redirect_uri"),
            "Redirect URI",
            &application.redirect_uri,
            "Use one line per URI",
        )
        .titled_checkbox(
            &field("trusted"),
            "Trusted",
            "Trusted applications are automatically authorized.",
            application.trusted,
        )
        .titled_checkbox(
            &field("confidential"),
            "Confidential",
            "The application can keep its secret.",
            application.confidential,
        )
        .raw("<p class=\"title\">Scopes</p><p></p>");
    for scope in visit.world.switches.known_scopes() {
        form = form.choice(
            &format!("{prefix}[scopes][]"),
            scope,
            application.scopes.iter().any(|own| own == scope),
        );
    }
    let cancel = visit.path("/admin/applications");
    let form = form
        .raw(&format!("<p><a href=\"{}\">Cancel</a></p>", escape(&cancel)))
        .submit("Save application");
    visit.page(StatusCode::OK, title, None, &format!("<h1>{title}</h1>\n{form}"))
}

fn render_show(visit: &mut Visit<'_>, application: &Application, secret: Option<&str>, notice: Option<&str>) -> Page {
    if visit.unheard_of(PageKind::Application) {
        return visit.unheard_page();
    }
    let csrf = visit.csrf();
    let path = visit.path(&format!("/admin/applications/{}", application.id));
    let yes = |flag: bool| if flag { "Yes" } else { "No" };
    let uris = each(
        application.redirect_uri.split_whitespace(),
        "<div><span class=\"monospace\">",
        "</span></div>",
    );
    let scopes = each(&application.scopes, "<li><span class=\"scope-name\">", "</span></li>");
    // GitLab's page has the secret in this attribute only; a script shows it.
    let secret = secret
        .map(|secret| format!(" data-initial-secret=\"{}\"", escape(secret)))
        .unwrap_or_default();
    let uid = escape(&application.uid);
    let uid = if visit.world.switches.shape(PageKind::Application) >= Generation::V19_3 {
        format!("<span data-testid=\"application-id-field\">{uid}</span>")
    } else {
        format!("<input id=\"application_id\" type=\"text\" autocomplete=\"off\" value=\"{uid}\" readonly>")
    };
    let content = format!(
        "<h1>Application: {name}</h1>\n<table>\n\
         <tr><td>Application ID</td><td>{uid}</td></tr>\n\
         <tr><td>Secret</td><td><div id=\"js-oauth-application-secret\"{secret} data-renew-path=\"{path}/renew\"></div></td></tr>\n\
         <tr><td>Callback URL</td><td>{uris}</td></tr>\n<tr><td>Trusted</td><td>{trusted}</td></tr>\n\
         <tr><td>Confidential</td><td>{confidential}</td></tr>\n<tr><td>Scopes</td><td><ul class=\"scopes-list\">{scopes}</ul></td></tr>\n</table>\n\
         <p><a href=\"{path}/edit\">Edit</a></p>\n{delete}\n\
         <input type=\"hidden\" name=\"id_of_application\" id=\"id_of_application\" value=\"{id}\" autocomplete=\"off\">\n{SECRET_SCRIPT}",
        name = escape(&application.name),
        path = escape(&path),
        trusted = yes(application.trusted),
        confidential = yes(application.confidential),
        delete = delete_form(&path, application.id, &csrf),
        id = application.id,
    );
    visit.page(StatusCode::OK, &application.name, notice, &content)
}

/// Shows the secret, and renews it on request, as GitLab's own script does.
const SECRET_SCRIPT: &str = "<script>(function(){var d=document.getElementById('js-oauth-application-secret');\
function show(s){d.textContent='';var c=document.createElement('code');c.textContent=s||'The secret is only available when you create the application or renew the secret.';\
d.appendChild(c);var b=document.createElement('button');b.textContent='Renew secret';b.onclick=function(){\
fetch(d.dataset.renewPath,{method:'PUT',headers:{'X-CSRF-Token':document.querySelector('meta[name=csrf-token]').content,'Accept':'application/json'}})\
.then(function(r){return r.json()}).then(function(j){show(j.secret)})};d.appendChild(document.createTextNode(' '));d.appendChild(b)}\
show(d.dataset.initialSecret)})();</script>";

//! What single pages of GitLab's show beside their forms.

use std::collections::BTreeMap;

use jiff::Timestamp;
use scraper::{ElementRef, Selector};

use super::forms::{Page, any, read, text_of};
use crate::http::Result;
use crate::model::ApplicationId;
use crate::secrets::RemoteText;

/// Disabled buttons that are looked at.
const MOST_BUTTONS: usize = 100;

/// The rows of the list of authorized applications: the id that each row carries (`tr#application_7`), and when its
/// newest token was made. Names say nothing: two applications may have the same.
///
/// GitLab: `app/views/shared/doorkeeper/applications/_index.html.haml`. A page without that list is an error.
pub(crate) fn authorized_applications(request: &str, html: &str) -> Result<BTreeMap<ApplicationId, Option<Timestamp>>> {
    const ROW: &str = "application_";
    const LIST: &str = "[data-testid='oauth-authorized-applications'], .oauth-authorized-applications";
    let page = Page::parse(request, html)?;
    let document = read(request, html)?;
    if !any(&document, LIST) {
        return Err(page.lacks("list of authorized applications"));
    }
    let (Ok(list), Ok(rows), Ok(cells)) = (
        Selector::parse(LIST),
        Selector::parse(&format!("tr[id^='{ROW}']")),
        Selector::parse("td"),
    ) else {
        return Err(page.lacks("list of authorized applications"));
    };
    let mut authorized = BTreeMap::new();
    for row in document
        .select(&list)
        .flat_map(|list| list.select(&rows).collect::<Vec<_>>())
    {
        let Some(id) = row.attr("id").and_then(|id| id.strip_prefix(ROW)?.parse().ok()) else {
            continue;
        };
        // The label of the column is translated, so the cell is told by what is in it.
        let at = row.select(&cells).skip(1).find_map(|cell| time(text_of(cell).as_str()));
        let newest = authorized.entry(ApplicationId(id)).or_insert(at);
        *newest = (*newest).max(at);
    }
    Ok(authorized)
}

/// A time as Rails writes it: `2026-11-20 12:00:00 UTC`, or with the offset of GitLab's time zone.
fn time(text: &str) -> Option<Timestamp> {
    let text = text
        .strip_suffix(" UTC")
        .map_or_else(|| text.to_owned(), |time| format!("{time} +0000"));
    Timestamp::strptime("%Y-%m-%d %H:%M:%S %z", text).ok()
}

/// Why the button on a user's admin page is disabled, where it is: the tooltip of the element around it.
///
/// GitLab: `app/views/admin/users/_head.html.haml`, `users_helper.rb#impersonation_error_text`.
pub(crate) fn impersonation_tooltip(html: &str) -> Option<RemoteText> {
    let document = read("GET", html).ok()?;
    let disabled = Selector::parse("[disabled]").ok()?;
    // Outwards from each such button, because pages have many titles and few of these.
    let mut tooltips = document.select(&disabled).take(MOST_BUTTONS).flat_map(|button| {
        let own = button.attr("data-testid") == Some("impersonate-user-link")
            || button.attr("href").is_some_and(|href| href.ends_with("/impersonate"));
        let around = button.ancestors().filter_map(ElementRef::wrap);
        around.filter_map(move |element| {
            let title = RemoteText::new(element.attr("title")?);
            (own || title.as_str().contains("impersonate")).then_some(title)
        })
    });
    tooltips.next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorized_applications_are_those_of_their_own_list() {
        let html = r#"<section class="x" data-testid="oauth-applications"><table><tr id="application_1"><td>Mine</td></tr></table></section>
          <section data-testid="oauth-authorized-applications"><table><thead><tr><th>Name</th></tr></thead>
          <tr id="application_7"><td data-label="Name"> 2026-01-01 00:00:00 UTC
             </td><td> 2026-11-20 12:00:00 UTC</td><td>api</td></tr>
          <tr id="application_7"><td>older</td><td>2026-11-20 12:59:59 +0100</td><td>api</td></tr>
          <tr id="application_8"><td>X</td><td>yesterday</td><td>api</td></tr>
          <tr id="application_new"><td>X</td><td>2026-11-20 12:00:00 UTC</td><td>api</td></tr>
          <tr><td>Anonymous <em>by password</em></td><td>2026-11-20 12:00:00 UTC</td></tr></table></section>"#;
        let noon = "2026-11-20T12:00:00Z".parse().unwrap();
        let rows = authorized_applications("GET /", html).unwrap();
        assert_eq!(
            rows,
            BTreeMap::from([(ApplicationId(7), Some(noon)), (ApplicationId(8), None)])
        );
        assert!(authorized_applications("GET /", "<title>404</title>").is_err());
    }

    #[test]
    fn the_reason_of_a_disabled_button_is_read() {
        let user = r#"<span class="has-tooltip" title="You cannot impersonate a blocked user"><button disabled data-testid="impersonate-user-link">I</button></span>"#;
        assert_eq!(
            impersonation_tooltip(user).as_ref().map(RemoteText::as_str),
            Some("You cannot impersonate a blocked user")
        );
        let of_19 = |disabled: &str| {
            format!(
                "<span class='btn-group' title='Sie können niemanden imitieren, der gesperrt ist'><a class='btn' \
                 data-method='post' {disabled} href='/admin/users/d/impersonate'>I</a></span>"
            )
        };
        assert!(
            impersonation_tooltip(&of_19("disabled='disabled'"))
                .unwrap()
                .as_str()
                .contains("gesperrt")
        );
        assert_eq!(impersonation_tooltip(&of_19("")), None);
        let offered = Page::parse("GET /", &format!("<meta name='csrf-token' content='T'>{}", of_19(""))).unwrap();
        assert!(offered.sender_to("/impersonate").unwrap().is_some());
        assert_eq!(
            impersonation_tooltip("<span title='impersonate'><a href='/x'>I</a></span>"),
            None
        );
    }
}

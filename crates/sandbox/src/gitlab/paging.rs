//! Pages of lists, in GitLab's two ways: by number with `X-` headers, and by the last id seen ("keyset").
//!
//! GitLab: `lib/gitlab/pagination/offset_header_builder.rb`, lib/gitlab/pagination/keyset/. Links carry the instance's
//! external URL, whatever address was asked.

use axum::response::Response;
use serde_json::Value;

use super::answers;
use super::call::Call;

const MOST: usize = 100;
/// Above so many rows GitLab does not count them.
const COUNTED: usize = 10_000;
/// Rows that may be skipped by number (`max_offset` of the plan limits).
const MAX_OFFSET: usize = 50_000;

/// The page that a call asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Page {
    number: usize,
    size: usize,
}

fn page_of(call: &Call) -> Result<Page, Response> {
    let read = |name: &str, default: u64| -> Result<usize, Response> {
        let value = call.params.number(name)?.unwrap_or(default);
        if value == 0 {
            return Err(answers::error(400, &format!("{name} does not have a valid value")));
        }
        Ok(usize::try_from(value).unwrap_or(usize::MAX))
    };
    Ok(Page {
        number: read("page", 1)?,
        size: read("per_page", 20)?.min(MOST),
    })
}

/// As [`offset`], for the lists that GitLab lets nobody page through by number to their end: those of users and groups,
/// and of projects for whoever is not signed in.
pub(crate) fn bounded_offset<T>(call: &Call, rows: &[T], render: impl Fn(&T) -> Value) -> Result<Response, Response> {
    let page = page_of(call)?;
    if (page.number - 1).saturating_mul(page.size) > MAX_OFFSET {
        return Err(answers::error(
            405,
            &format!(
                "Offset pagination has a maximum allowed offset of {MAX_OFFSET} for requests that return objects of \
                 type. Remaining records can be retrieved using keyset pagination."
            ),
        ));
    }
    offset(call, rows, render)
}

/// A page by number of `rows`, which are all of the list in its order; only the rows of the page are rendered.
pub(crate) fn offset<T>(call: &Call, rows: &[T], render: impl Fn(&T) -> Value) -> Result<Response, Response> {
    let page = page_of(call)?;
    let skipped = (page.number - 1).saturating_mul(page.size);
    let shown: Vec<Value> = rows.iter().skip(skipped).take(page.size).map(render).collect();
    let pages = rows.len().div_ceil(page.size).max(1);
    let counted = rows.len() <= COUNTED;
    let next = (page.number < pages).then_some(page.number + 1);
    let previous = (page.number > 1).then(|| page.number - 1);
    let text = |number: Option<usize>| number.map(|number| number.to_string()).unwrap_or_default();
    let mut links = Vec::new();
    let mut link = |number: usize, relation: &str| {
        let changed = [("page", number.to_string()), ("per_page", page.size.to_string())];
        links.push(format!("<{}>; rel=\"{relation}\"", address(call, &changed)));
    };
    if let Some(number) = previous {
        link(number, "prev");
    }
    if let Some(number) = next {
        link(number, "next");
    }
    link(1, "first");
    if counted {
        link(pages, "last");
    }
    let mut headers = vec![
        ("link", links.join(", ")),
        ("x-next-page", text(next)),
        ("x-page", page.number.to_string()),
        ("x-per-page", page.size.to_string()),
        ("x-prev-page", text(previous)),
    ];
    if counted {
        headers.push(("x-total", rows.len().to_string()));
        headers.push(("x-total-pages", pages.to_string()));
    }
    let response = answers::json_answer(200, &Value::Array(shown));
    Ok(headers.into_iter().fold(response, |response, (name, value)| {
        answers::with_header(response, name, &value)
    }))
}

/// A page after (or, descending, before) an id; `rows` are the whole list by ascending id. The link to the next page
/// is there as long as the page holds anything, so that the last page may be an empty one.
pub(crate) fn keyset<T>(
    call: &Call,
    rows: &[T],
    id: impl Fn(&T) -> u64,
    render: impl Fn(&T) -> Value,
) -> Result<Response, Response> {
    let page = page_of(call)?;
    let order = call.params.filled("order_by").unwrap_or_else(|| "id".to_owned());
    if order != "id" {
        return Err(answers::error(
            405,
            "Keyset pagination is not yet available for this type of request",
        ));
    }
    let ascending = call.params.filled("sort").as_deref() == Some("asc");
    let after = call.params.number("id_after")?.unwrap_or(0);
    let before = call.params.number("id_before")?.unwrap_or(u64::MAX);
    let from = rows.partition_point(|row| id(row) <= after);
    let to = rows.partition_point(|row| id(row) < before);
    let window = rows.get(from..to).unwrap_or_default();
    let shown: Vec<&T> = if ascending {
        window.iter().take(page.size).collect()
    } else {
        window.iter().rev().take(page.size).collect()
    };
    let body = Value::Array(shown.iter().map(|row| render(row)).collect());
    let response = answers::json_answer(200, &body);
    let Some(last) = shown.last() else { return Ok(response) };
    let key = if ascending { "id_after" } else { "id_before" };
    let link = format!("<{}>; rel=\"next\"", address(call, &[(key, id(last).to_string())]));
    Ok(answers::with_header(response, "link", &link))
}

/// The call's own address at the external URL, with some parameters changed, sorted by name as Rails sorts them.
fn address(call: &Call, changed: &[(&str, String)]) -> String {
    let query = call.parts.uri.query().unwrap_or_default();
    let mut pairs: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes())
        .filter(|(name, _)| name != "private_token" && !changed.iter().any(|(key, _)| key == name))
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .chain(changed.iter().map(|(name, value)| ((*name).to_owned(), value.clone())))
        .collect();
    pairs.sort();
    let query = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish();
    format!("{}{}?{query}", call.base, call.parts.uri.path())
}

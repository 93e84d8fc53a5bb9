//! Where the link of a notice leads: what to type. The page is the same for everybody and every request but for the id in its
//! address: it reads nothing, decides nothing, and holds nothing that a browser would run or fetch.

use axum::response::Html;
use daypass_api::Problem;
use daypass_core::id::RequestId;
use daypass_core::refusal::Code;

use crate::http::intake::Path;
use crate::http::problem::{Answer, Failure};

/// Says what to type about a request. It shows nothing of it, and not even whether there is one.
#[utoipa::path(get, path = "/requests/{id}", tag = "pages", params(("id" = String, Path)), security(()),
    responses((status = 200, body = String, content_type = "text/html"), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn page(Path(id): Path<String>) -> Answer<Html<String>> {
    // What is written into the page is the id as we spell it: letters and digits.
    let Ok(id) = id.parse::<RequestId>() else {
        return Err(Failure::new(Code::NotFound, "this is no id of a request"));
    };
    Ok(Html(written(id)))
}

fn written(id: RequestId) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Daypass: {id}</title>\n\
         <meta name=\"viewport\" content=\"width=device-width\"></head><body>\n\
         <h1>Request {id}</h1>\n\
         <p>Look at it, and decide it, in a terminal:</p>\n\
         <pre>daypass status {id}\ndaypass approve {id}\ndaypass deny {id} --reason \"why\"</pre>\n\
         <p>Nothing here decides anything, and nothing of the request is shown without a login.</p>\n\
         </body></html>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_page_holds_an_id_and_nothing_that_was_typed() {
        let id = RequestId::from_bytes([7; 10]).to_string();
        let Html(page) = page(Path(id.clone())).await.unwrap();
        assert!(page.contains(&format!("daypass approve {id}")), "{page}");
        assert!(!page.contains("<script") && !page.contains("href") && !page.contains("<form"));
        for bad in ["", "R1", "G0000000000000000", "<script>", "R%3Cb%3E", "../api"] {
            assert!(super::page(Path(bad.to_owned())).await.is_err(), "{bad}");
        }
    }
}

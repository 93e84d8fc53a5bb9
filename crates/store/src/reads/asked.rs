//! Reads of what was asked for and what it led to: requests and grants.

use daypass_core::grant::Grant;
use daypass_core::id::{GrantId, PersonId, RequestId};
use daypass_core::request::Request;

use crate::error::Result;
use crate::grants::{self, GrantFilter};
use crate::page::{Cursor, Page};
use crate::requests::{self, RequestFilter};
use crate::resolve;
use crate::store::Store;

/// Requests and grants.
impl Store {
    /// A request.
    ///
    /// # Errors
    /// Where the store does not answer, as everywhere here.
    pub async fn request(&self, id: RequestId) -> Result<Option<Request>> {
        on!(read, self, |link| requests::by_id(link, id))
    }

    /// Those of these requests that there are, in any order.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn requests_of_ids(&self, ids: &[RequestId]) -> Result<Vec<Request>> {
        let ids = ids.to_vec();
        on!(read, self, |link| requests::of_ids(link, &ids))
    }

    /// A page of requests, newest first; `after` is the last page's `next`.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn requests(
        &self,
        filter: RequestFilter,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<Request>> {
        on!(read, self, |link| requests::list(
            link,
            &filter,
            after.as_ref(),
            limit
        ))
    }

    /// The requests that ask to lengthen a grant, oldest first.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn requests_extending(&self, grant: GrantId) -> Result<Vec<Request>> {
        on!(read, self, |link| requests::extending(link, grant))
    }

    /// The request whose id begins so.
    ///
    /// # Errors
    /// A refusal where there is none, or several: it lists them.
    pub async fn resolve_request(&self, typed: &str) -> Result<RequestId> {
        let typed = typed.to_owned();
        on!(read, self, |link| resolve::request(link, &typed))
    }

    /// The requests whose ids begin so, `most` at most.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn requests_like(&self, typed: &str, most: usize) -> Result<Vec<RequestId>> {
        let typed = typed.to_owned();
        on!(read, self, |link| resolve::requests(link, &typed, most))
    }

    /// A grant.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn grant(&self, id: GrantId) -> Result<Option<Grant>> {
        on!(read, self, |link| grants::by_id(link, id))
    }

    /// A page of grants, newest first; `after` is the last page's `next`.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn grants(
        &self,
        filter: GrantFilter,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<Grant>> {
        on!(read, self, |link| grants::list(
            link,
            &filter,
            after.as_ref(),
            limit
        ))
    }

    /// The grant that a request led to. An extension led to none of its own.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn grant_of_request(&self, request: RequestId) -> Result<Option<Grant>> {
        on!(read, self, |link| grants::of_request(link, request))
    }

    /// What somebody holds and has not begun to end, oldest first.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn live_grants_of(&self, holder: PersonId) -> Result<Vec<Grant>> {
        on!(read, self, |link| grants::live_of(link, holder))
    }

    /// What has not begun to end and was given to a handle of its holder; maybe others too. `limit` of them at most, by id, after
    /// this one.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn live_given(&self, after: Option<GrantId>, limit: usize) -> Result<Vec<Grant>> {
        on!(read, self, |link| grants::live_given(link, after, limit))
    }

    /// Those of these grants that there are, in any order.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn grants_of_ids(&self, ids: &[GrantId]) -> Result<Vec<Grant>> {
        let ids = ids.to_vec();
        on!(read, self, |link| grants::of_ids(link, &ids))
    }

    /// The active grants that something beside their deadline may end.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn watched_grants(&self) -> Result<Vec<Grant>> {
        on!(read, self, |link| grants::watched(link))
    }

    /// The grants whose targets have more to tell of what was done with them, the oldest first, no more than so many.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn telling_grants(&self, limit: usize) -> Result<Vec<Grant>> {
        on!(read, self, |link| grants::telling(link, limit))
    }

    /// The grant whose id begins so.
    ///
    /// # Errors
    /// A refusal where there is none, or several: it lists them.
    pub async fn resolve_grant(&self, typed: &str) -> Result<GrantId> {
        let typed = typed.to_owned();
        on!(read, self, |link| resolve::grant(link, &typed))
    }

    /// The grants whose ids begin so, `most` at most.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn grants_like(&self, typed: &str, most: usize) -> Result<Vec<GrantId>> {
        let typed = typed.to_owned();
        on!(read, self, |link| resolve::grants(link, &typed, most))
    }
}

"""The codes of all errors: what each means, what to do about it, and who can. Their one home.

A code is a word for programs, rules and search: it stays as it is once it was released, while sentences may be put
better. The API, sessions and their events, schedules, the command line and the operations page show it beside the
sentence of the moment; `docs/errors.md` is made from here.
"""

from enum import StrEnum


class WhoActs(StrEnum):
    """Who can do something about an error."""

    CALLER = "whoever asked"
    """Whoever sent the request or gave the command: it, or its values, have to be others."""
    WORKSPACE_ADMIN = "a workspace admin"
    """Whoever looks after the workspace's account at the provider and its configuration here."""
    OPERATOR = "the operator"
    """Whoever runs this installation."""
    PROVIDER = "the provider"
    """Its own trouble: its status page tells more."""
    NOBODY = "nobody, it passes"
    """It is tried again by itself."""


class ErrorCode(StrEnum):
    """A code, with what it `means`, the `remedy`, and `who` can act. Its value is the code itself, in kebab-case."""

    who: WhoActs
    meaning: str
    remedy: str

    def __new__(cls, code: str, who: WhoActs = WhoActs.NOBODY, meaning: str = "", remedy: str = "") -> "ErrorCode":
        """A member: text that equals the code. Only looking one up, as in `ErrorCode("conflict")`, gives it alone."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.who, member.meaning, member.remedy = who, meaning, remedy
        return member

    # What a provider answers, or does not.

    CREDENTIALS_REJECTED = (
        "credentials-rejected",
        WhoActs.WORKSPACE_ADMIN,
        "The provider rejects the credentials: the key is wrong, has expired or was revoked. Nothing works with "
        "it, and a sync that meets this pauses the source: none starts by itself until other credentials are "
        "entered.",
        "Enter a valid key: cyphera source update, or PUT the configuration. Then the source goes on by itself.",
    )
    ACCOUNT_NOT_OPEN = (
        "account-not-open",
        WhoActs.WORKSPACE_ADMIN,
        "The key works, and does not open the account that the source names, or that account is of a kind that cannot "
        "be read.",
        "Check the connected account or the site of the configuration, and that the key is one of that very account.",
    )
    ACCESS_UNUSABLE = (
        "access-unusable",
        WhoActs.WORKSPACE_ADMIN,
        "The key and the account, site or mode that the configuration names cannot go together. The provider was not "
        "asked.",
        "Change the field that the message names.",
    )
    PERMISSION_MISSING = (
        "permission-missing",
        WhoActs.WORKSPACE_ADMIN,
        "The key works, and may not do this: it lacks a permission, which the message names where it is known.",
        "Give the key that permission at the provider, or enter another key. What it may read is kept in sync "
        "meanwhile.",
    )
    PROVIDER_UNREACHABLE = (
        "provider-unreachable",
        WhoActs.OPERATOR,
        "No answer came from the provider: its address, its certificate, the network or the provider itself is "
        "at fault. Requests are made again where that may help; a sync that has to give up is continued by the "
        "next one.",
        "See the provider's status page. Where that says that all is well, check this machine's network, "
        "resolver and proxy.",
    )
    TIMED_OUT = (
        "timed-out",
        WhoActs.PROVIDER,
        "The provider took a request and did not answer it whole in time. Requests are made again; a sync that "
        "has to give up is continued by the next one.",
        "See the provider's status page, and what the network between here and there does to long answers.",
    )
    PROVIDER_UNAVAILABLE = (
        "provider-unavailable",
        WhoActs.PROVIDER,
        "The provider answered with errors of its own. Requests are made again; a sync that has to give up is "
        "continued by the next one.",
        "See the provider's status page. Syncs are tried again by themselves.",
    )
    RATE_LIMITED = (
        "rate-limited",
        WhoActs.NOBODY,
        "The provider limits how fast it is asked. Requests wait and are made again; only if it goes on for very "
        "long does a sync end before it is complete, and the next one continues.",
        "Nothing, where it passes. Where it stays, other programs may be using up the account's allowance: give "
        "this source a lower rate (cyphera source update), or ask the provider for a higher limit.",
    )
    ANSWER_UNREADABLE = (
        "answer-unreadable",
        WhoActs.PROVIDER,
        "The provider's answers came cut off, garbled or too large to be read. They are asked for again, and in "
        "smaller pages; a sync that has to give up is continued by the next one.",
        "See that no proxy between here and the provider cuts answers short.",
    )
    PROVIDER_ERROR = (
        "provider-error",
        WhoActs.OPERATOR,
        "The provider's answer makes no sense: it is not what was asked for, or lacks what such an answer always has.",
        "Check that base_url, if the configuration names one, leads to the provider's API. Otherwise report it with "
        "the message and the session's id: the provider's API may have changed.",
    )
    REFUSED_BY_PROVIDER = (
        "refused-by-provider",
        WhoActs.OPERATOR,
        "The provider understood the request and refuses it: asking again does not help.",
        "The message has the provider's own words. If it was a request of a sync, report it: the provider's API may "
        "have changed.",
    )
    LIST_ENDLESS = (
        "list-endless",
        WhoActs.PROVIDER,
        "The pages of one of the provider's lists do not come to an end, or come in a circle. What came before "
        "is kept.",
        "Start the sync again. Where that meets it too, report it to the provider.",
    )
    LIST_CURSOR_LOST = (
        "list-cursor-lost",
        WhoActs.NOBODY,
        "The object after which a page was to start is gone at the provider, so that the list cannot go on from "
        "there. Listings begin that part anew by themselves.",
        "Begin the list anew.",
    )
    OBJECT_GONE = (
        "object-gone",
        WhoActs.CALLER,
        "The provider has no such object, or has it no more.",
        "Check the id. A sync brings the tables in step with what is there.",
    )
    REQUEST_ABANDONED = (
        "request-abandoned",
        WhoActs.NOBODY,
        "A request to the provider was given up before its answer came: the sync was cancelled, or the time for it was "
        "over.",
        "Ask again.",
    )
    UNSUPPORTED = (
        "unsupported",
        WhoActs.CALLER,
        "The provider does not offer this through this system. No request was made.",
        "See what each provider can do: cyphera provider list, or docs/capabilities.md.",
    )
    ADDRESS_NOT_ALLOWED = (
        "address-not-allowed",
        WhoActs.OPERATOR,
        "The configuration's base_url leads to a host, or in a way, that this installation does not allow. Nothing was "
        "sent there.",
        "Leave base_url out; or let the operator add the host to CYPHERA_PROVIDER_HOSTS.",
    )
    PROVIDER_EVENT_UNREADABLE = (
        "provider-event-unreadable",
        WhoActs.OPERATOR,
        "Events of the provider could not be read, and what they tell was not applied.",
        "Report it with what the session's event says of them. A full listing brings the tables in step.",
    )
    DISCOUNT_TERMS_UNKNOWN = (
        "discount-terms-unknown",
        WhoActs.WORKSPACE_ADMIN,
        "Coupons cannot be read, or are not there any more, so that how much their discounts take off is not known.",
        "Give the key the permission to read coupons, where the message says that it lacks it.",
    )
    PROVIDER_NOTICE = (
        "provider-notice",
        WhoActs.OPERATOR,
        "A provider's package noticed something that people should know, and gave it no code of its own.",
        "Read the message.",
    )
    PROVIDER_CLOCK_OFF = (
        "provider-clock-off",
        WhoActs.OPERATOR,
        "The clock of the provider and that of this machine differ by more than a little.",
        "See that this machine's clock is kept right (NTP).",
    )

    # What does not make it into the tables.

    OBJECT_NOT_LOADED = (
        "object-not-loaded",
        WhoActs.OPERATOR,
        "Objects of the provider are not in the tables: they have a form that nobody expects, or the database "
        "refuses their values. An event of the session names each and keeps what came; they count as missing "
        "until they are mended.",
        "Read the events: cyphera events SESSION. If an object is right as it is at the provider, report it with "
        "the reason that is given; once a sync can load it, it is missing no more.",
    )
    OBJECT_INCOMPLETE = (
        "object-incomplete",
        WhoActs.NOBODY,
        "Objects could not be read whole, as the lines of an invoice of which some did not come. They are asked for "
        "again by the next sync.",
        "Nothing, unless it stays: then read what the session's events say of it.",
    )
    CHARACTERS_REMOVED = (
        "characters-removed",
        WhoActs.NOBODY,
        "Characters that Postgres cannot hold (NUL, lone surrogates) were taken out of texts. The rows are there.",
        "Nothing; or mend the text at the provider.",
    )
    ROW_DIFFERS = (
        "row-differs",
        WhoActs.CALLER,
        "Rows that differ from what the provider has were left as they are: the sync was asked for with the strategy "
        "flag.",
        "Look at what the events name. A sync with the strategy overwrite takes what the provider has.",
    )
    DIFFERENCES_FOUND = (
        "differences-found",
        WhoActs.OPERATOR,
        "A verification found rows that differ from what the provider has.",
        "Mend them: cyphera verify --repair. Where they come back, report it.",
    )
    CATCH_UP_IMPOSSIBLE = (
        "catch-up-impossible",
        WhoActs.NOBODY,
        "What changed since the last sync cannot be told from the provider's events: they do not reach back so far, "
        "may not be read with this key, or cannot be made sense of. A listing takes their place.",
        "Nothing. Where every sync says so, give the key the permission to read the provider's events: listings cost "
        "many more requests.",
    )
    ABSENCE_UNPROVEN = (
        "absence-unproven",
        WhoActs.OPERATOR,
        "Of some rows it could not be told whether their objects still exist at the provider. They stay as they are.",
        "Compare them: cyphera verify WORKSPACE PROVIDER --repair.",
    )
    ACCOUNT_CHANGED = (
        "account-changed",
        WhoActs.WORKSPACE_ADMIN,
        "The credentials open another account than the one that was synced before, or perhaps do: everything is "
        "listed anew, and rows whose objects it does not have are marked as deleted.",
        "If that was not meant, enter the former account's key again.",
    )
    WEBHOOK_REJECTED = (
        "webhook-rejected",
        WhoActs.WORKSPACE_ADMIN,
        "What came in is no webhook of the provider's, or nobody can tell: its signature is wrong or too old, or it is "
        "about another account.",
        "Compare the signing secret with the provider's (cyphera webhook secret set), and the clocks.",
    )
    WEBHOOK_UNREADABLE = (
        "webhook-unreadable",
        WhoActs.OPERATOR,
        "Webhooks are signed as they should be and cannot be read, so that what they tell is not applied by "
        "themselves.",
        "Look at them: cyphera webhook list WORKSPACE --state unreadable. A full listing brings the tables in step.",
    )

    # How a session ends, or does not begin.

    SEVERAL_CAUSES = (
        "several-causes",
        WhoActs.OPERATOR,
        "The parts of a sync failed for different reasons. Each entity's own code is beside it.",
        "See each entity's code and message: cyphera events SESSION.",
    )
    CANCELLED = (
        "cancelled",
        WhoActs.CALLER,
        "Somebody cancelled the sync. What was merged stays.",
        "Start it again if that was not meant: it continues from there.",
    )
    INTERRUPTED = (
        "interrupted",
        WhoActs.NOBODY,
        "The process was told to stop before it was done: by Ctrl-C, or since its service or machine was stopped. What "
        "was merged stays.",
        "Start it again; a sync continues from there, and one that is due starts by itself.",
    )
    SESSION_DIED = (
        "session-died",
        WhoActs.OPERATOR,
        "The process that ran the sync ended before the sync did: it was killed, its machine went away, or its run was "
        "ended from outside, as one that took longer than runs may. What was merged stays, and the next sync continues "
        "from there.",
        "Where it happens again, see the run in Dagster and the machine's log: memory is the usual reason.",
    )
    SESSION_ENDED = (
        "session-ended",
        WhoActs.NOBODY,
        "The session had ended, or another run had it, before this run began to sync it.",
        "Nothing; or start a new sync.",
    )
    RUN_NOT_STARTED = (
        "run-not-started",
        WhoActs.OPERATOR,
        "The session waited, and its run ended before the sync began.",
        "The message and the run in Dagster say why. See that Dagster's daemon and code server run (/readyz "
        "tells), then start the sync again.",
    )
    SOURCE_REMOVED = (
        "source-removed",
        WhoActs.WORKSPACE_ADMIN,
        "The source has no active configuration any more, so that nothing of it is synced.",
        "Connect it again, or make its configuration active, if it is to be synced.",
    )
    SOURCE_BUSY = (
        "source-busy",
        WhoActs.NOBODY,
        "Another process is at work on the source: one sync of a source runs at a time.",
        "Wait for the other one to end, or cancel it: cyphera sessions WORKSPACE, then cyphera session cancel SESSION.",
    )
    SESSION_ACTIVE = (
        "session-active",
        WhoActs.CALLER,
        "The source has a session that waits or runs already.",
        "Wait for it to end, or cancel it, before starting another one.",
    )
    SOURCE_PAUSED = (
        "source-paused",
        WhoActs.CALLER,
        "The source is paused: no sync of it starts, and what webhooks tell is kept.",
        "Resume it: cyphera source resume, or POST /config/{config_id}/resume where it was paused through the API.",
    )
    PURGE_UNDER_WAY = (
        "purge-under-way",
        WhoActs.NOBODY,
        "All that is kept of the workspace or the source is being removed.",
        "Wait until the purge is over.",
    )
    OVERTAKEN = (
        "overtaken",
        WhoActs.NOBODY,
        "Another process wrote the same rows meanwhile, or took this one's work over, as it was not heard of for too "
        "long.",
        "Nothing: the other one goes on with it.",
    )

    # Requests and commands.

    INVALID_REQUEST = (
        "invalid-request",
        WhoActs.CALLER,
        "A value that was given is not acceptable: the message, or `errors` of a problem document, names it.",
        "Give another value, as the message says.",
    )
    INVALID_USAGE = (
        "invalid-usage",
        WhoActs.CALLER,
        "The command line is not one that this command understands.",
        "See the command's --help.",
    )
    UNREADABLE_BODY = (
        "unreadable-body",
        WhoActs.CALLER,
        "The body of the request cannot be read.",
        "Send it as one JSON object in UTF-8.",
    )
    UNSUPPORTED_MEDIA_TYPE = (
        "unsupported-media-type",
        WhoActs.CALLER,
        "The request's body is of another type than JSON.",
        "Send JSON, with Content-Type: application/json.",
    )
    REPEATED_HEADER = (
        "repeated-header",
        WhoActs.CALLER,
        "A header that may come once came more often, so that nobody can tell which is meant.",
        "Send it once.",
    )
    BODY_TOO_SLOW = (
        "body-too-slow",
        WhoActs.CALLER,
        "The body of the request did not arrive whole in time.",
        "Send it within 10 seconds of its headers, and as many bytes as Content-Length says.",
    )
    BODY_TOO_LARGE = (
        "body-too-large",
        WhoActs.CALLER,
        "The body of the request is larger than anything that this API takes.",
        "Send at most 1 MiB.",
    )
    METHOD_NOT_ALLOWED = (
        "method-not-allowed",
        WhoActs.CALLER,
        "The path is there, and does not take this method.",
        "See the answer's header Allow, and /docs.",
    )
    HTTP_ERROR = (
        "http-error",
        WhoActs.CALLER,
        "The request is none that this server takes; the HTTP status says why.",
        "See /docs for what it takes.",
    )
    UNAUTHENTICATED = (
        "unauthenticated",
        WhoActs.CALLER,
        "No valid API key came with the request, or it is not one of this workspace.",
        "Send the key in X-API-Key and its workspace's id in X-Workspace-ID. An operator makes keys: cyphera key "
        "create.",
    )
    KEY_EXPIRED = (
        "key-expired",
        WhoActs.CALLER,
        "The API key was right, and its time is over.",
        "Let an operator make another one: cyphera key create.",
    )
    KEY_LEVEL = (
        "key-level",
        WhoActs.CALLER,
        "The API key is valid, and is not for this.",
        "Use a key of the level that is needed; an operator makes it: cyphera key create.",
    )
    NOT_FOUND = (
        "not-found",
        WhoActs.CALLER,
        "What was named does not exist, or is another workspace's.",
        "Check the name or the id; lists show what there is.",
    )
    CONFLICT = (
        "conflict",
        WhoActs.CALLER,
        "The request is well formed, and the present state does not allow it.",
        "The message says what stands in the way.",
    )
    CONFIGURATION_ACTIVE = (
        "configuration-active",
        WhoActs.CALLER,
        "The workspace has an active configuration of this provider already, and may have one.",
        "Change that one, or remove it first.",
    )
    CONFIGURATION_CHANGED = (
        "configuration-changed",
        WhoActs.NOBODY,
        "The configuration was changed while something was done with what it was before.",
        "Try again: then the present one counts.",
    )
    ACCOUNT_TAKEN = (
        "account-taken",
        WhoActs.OPERATOR,
        "The provider's account is another workspace's: an account belongs to one.",
        "Connect another account, or remove it there first.",
    )
    ACCOUNT_NOT_ALLOWED = (
        "account-not-allowed",
        WhoActs.OPERATOR,
        "The workspace may not read this account with the platform's key: the operator has not allowed it.",
        "Let the operator allow it: cyphera workspace allow-account; or give a key of the account's own.",
    )
    ENDPOINT_EXISTS = (
        "endpoint-exists",
        WhoActs.CALLER,
        "The provider has a webhook endpoint at this address already.",
        "Use that one, or let it be replaced, as the message says.",
    )
    QUOTA_REACHED = (
        "quota-reached",
        WhoActs.OPERATOR,
        "The workspace has as much of something as it may have.",
        "Wait or remove some, as the message says; or let the operator raise the setting CYPHERA_MOST_... of it.",
    )
    TOO_MANY_REQUESTS = (
        "too-many-requests",
        WhoActs.NOBODY,
        "One caller asks for too much at once.",
        "Come again after as many seconds as the header Retry-After says.",
    )
    IDEMPOTENCY_KEY_REUSED = (
        "idempotency-key-reused",
        WhoActs.CALLER,
        "The idempotency key was used for another request already. Nothing was sent.",
        "Use a new key for a new request, and the same one only to repeat one.",
    )
    WRITE_UNDER_WAY = (
        "write-under-way",
        WhoActs.NOBODY,
        "The same write is on its way.",
        "Ask again after a moment, with the same idempotency key or for the write itself.",
    )
    WRITE_REJECTED = (
        "write-rejected",
        WhoActs.CALLER,
        "The provider rejects the write: nothing happened there.",
        "The message and `code` have the provider's reason.",
    )
    PAYMENT_DECLINED = (
        "payment-declined",
        WhoActs.CALLER,
        "The payment was declined.",
        "`code` has the provider's reason; ask the customer for another means of payment.",
    )
    FIGURES_NOT_AVAILABLE = (
        "figures-not-available",
        WhoActs.WORKSPACE_ADMIN,
        "There is nothing to show yet: what the figures are counted from was not synced, or they were not counted.",
        "Sync what the message names; figures follow by themselves, or by: cyphera figures build.",
    )

    # This installation.

    UNAVAILABLE = (
        "unavailable",
        WhoActs.NOBODY,
        "It would work at another time.",
        "Try again in a moment. Where it stays, see /readyz.",
    )
    NOT_READY = (
        "not-ready",
        WhoActs.OPERATOR,
        "Something that this server needs is not as it should be; `checks` says what.",
        "Mend what the failing checks name.",
    )
    DATABASE_UNAVAILABLE = (
        "database-unavailable",
        WhoActs.OPERATOR,
        "The database cannot be reached, or the connection to it was lost. What was committed is kept.",
        "See that the database runs and that CYPHERA_DATABASE_URL leads to it: cyphera db check.",
    )
    DATABASE_FULL = (
        "database-full",
        WhoActs.OPERATOR,
        "The database has no connection to give, or no room: of connections, memory or disk.",
        "Compare what is needed with what it has: cyphera db connections; and see its disk.",
    )
    DATABASE_ERROR = (
        "database-error",
        WhoActs.OPERATOR,
        "The database refused a statement: a privilege is missing, it was cancelled or in the way of another one, or "
        "something stands in the tables that this program did not put there.",
        "The message has the database's first line. See: cyphera db check. The next sync continues from what is "
        "merged.",
    )
    DATABASE_UNSUITABLE = (
        "database-unsuitable",
        WhoActs.OPERATOR,
        "The database server is too old or too new, keeps text in an encoding that loses some, or takes no writes.",
        "Name another one in CYPHERA_DATABASE_URL, as the message says.",
    )
    SCHEMA_MISMATCH = (
        "schema-mismatch",
        WhoActs.OPERATOR,
        "The database's schema, roles or views are not those of this program: a migration is missing, a dump was "
        "restored, or a newer program was here.",
        "Run: cyphera db upgrade. If the schema is newer, upgrade cyphera-pipelines.",
    )
    ADMINISTRATOR_NEEDED = (
        "administrator-needed",
        WhoActs.OPERATOR,
        "The database user may not make what is needed.",
        "Let an administrator of the database execute the SQL that is printed, then run the command again.",
    )
    EMBEDDED_DATABASE_FAILED = (
        "embedded-database-failed",
        WhoActs.OPERATOR,
        "The embedded Postgres cannot be made, started or used.",
        "Do what the message says; or set CYPHERA_DATABASE_URL to a server of your own.",
    )
    CREDENTIALS_UNREADABLE = (
        "credentials-unreadable",
        WhoActs.OPERATOR,
        "Stored credentials cannot be decrypted: their encryption key is not configured, or what is stored was "
        "altered.",
        "Set the former key in PAYMENT_SYNC_ENCRYPTION_PREVIOUS_KEYS (cyphera keys show tells which is missing); if it "
        "is lost, enter the credentials again.",
    )
    ENCRYPTION_KEY_UNUSABLE = (
        "encryption-key-unusable",
        WhoActs.OPERATOR,
        "The encryption key of this installation is missing, is none, or may be read by others.",
        "Set PAYMENT_SYNC_ENCRYPTION_KEY to base64 of 32 bytes, or mend what the message names.",
    )
    SECRETS_MANAGER_FAILED = (
        "secrets-manager-failed",
        WhoActs.OPERATOR,
        "AWS Secrets Manager did not give a secret that an ..._ARN variable names.",
        "Check the name, the region and this machine's permission to read it.",
    )
    PLATFORM_KEY_MISSING = (
        "platform-key-missing",
        WhoActs.OPERATOR,
        "The source is read with the platform's own key, and none is deployed.",
        "Set it, as docs/webhooks.md says; or give the source a key of its account.",
    )
    SETTING_INVALID = (
        "setting-invalid",
        WhoActs.OPERATOR,
        "A setting of this installation, in the environment or in a file that it names, is not acceptable.",
        "Mend the variable or file that the message names: the README lists them.",
    )
    PROVIDER_UNKNOWN = (
        "provider-unknown",
        WhoActs.CALLER,
        "There is no provider of this name here, or its package cannot be used.",
        "Choose one of those that are: cyphera provider list.",
    )
    FILE_UNUSABLE = (
        "file-unusable",
        WhoActs.CALLER,
        "A file or folder cannot be read or written.",
        "Name another one, or mend its permissions or the disk, as the message says.",
    )
    PACKAGE_MISSING = (
        "package-missing",
        WhoActs.CALLER,
        "A Python package that only this needs is not installed.",
        "Install it: pip install 'cyphera-pipelines[analytics]'.",
    )
    ADDRESS_IN_USE = (
        "address-in-use",
        WhoActs.CALLER,
        "A port cannot be listened on: another program has it, or this user may not.",
        "Choose another one with the option that the message names, or end that program.",
    )
    PROGRAM_FAILED = (
        "program-failed",
        WhoActs.OPERATOR,
        "A program that this one runs did not start, or did not stay up.",
        "Read what it said last, above the error and in its log.",
    )
    SANDBOX_UNAVAILABLE = (
        "sandbox-unavailable",
        WhoActs.CALLER,
        "No sandbox answers at that address, or it refuses.",
        "Start one: cyphera sandbox, or: cyphera up --sandbox.",
    )
    NO_DEMO_HERE = (
        "no-demo-here",
        WhoActs.CALLER,
        "This database is one of your own, or what is in it is: the demo leaves that alone.",
        "Run it with another CYPHERA_HOME and without CYPHERA_DATABASE_URL.",
    )
    ALERT_NOT_TAKEN = (
        "alert-not-taken",
        WhoActs.OPERATOR,
        "A channel did not take an alert: its address is wrong, its receiver refuses or does not answer, or the "
        "channel may not reach it. It is tried again for a day, then the channel is given up.",
        "Mend what the message says, then test the channel: cyphera alerts channels test. A test that is taken revives "
        "it.",
    )
    RUN_RECORD_LOST = (
        "run-record-lost",
        WhoActs.OPERATOR,
        "Dagster's database took too little of what a run had to record, so that the run shows less than happened. "
        "The tables are as its session says.",
        "See that Dagster's database runs and has room.",
    )
    UNEXPECTED = (
        "unexpected",
        WhoActs.OPERATOR,
        "An error of ours: something happened that nobody thought of.",
        "Report it with the message, the session's or request's id, and the log.",
    )

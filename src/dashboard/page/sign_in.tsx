// The way in: an organisation's own sign-in where one is set up, or a token that is pasted. What is typed stays in the tab.
import { useRef } from "preact/hooks";
import type { Dashboard } from "./dashboard.ts";
import { text } from "./strings.ts";

export function SignIn({ dashboard }: { readonly dashboard: Dashboard }) {
  const field = useRef<HTMLTextAreaElement>(null);
  const { signIn } = text;
  const { oidc } = dashboard.config.value;
  const reason = dashboard.reason.value;
  const isBusy = dashboard.isBusy.value;
  const submit = (event: Event) => {
    event.preventDefault();
    const token = field.current?.value.trim() ?? "";
    if (token !== "") dashboard.signInWith(token);
  };
  if (isBusy && reason === null) return <p class="loading" role="status">{signIn.busy}</p>;
  return (
    <section class="entry" aria-labelledby="entry-title">
      <h2 id="entry-title">{signIn.title}</h2>
      <p class="lead">{signIn.lead}</p>
      {reason !== null && <p class="reason" role="alert">{reason}</p>}
      {oidc !== null && (
        <>
          <button
            type="button"
            class="primary"
            disabled={isBusy || !isSecureContext}
            onClick={() => void dashboard.signInWithProvider()}
          >
            {signIn.withProvider}
          </button>
          {!isSecureContext && <p class="hint">{signIn.notSecure}</p>}
          <p class="or">{signIn.or}</p>
        </>
      )}
      <form onSubmit={submit}>
        <label for="token">{signIn.token}</label>
        <textarea
          id="token"
          ref={field}
          rows={4}
          required
          autocomplete="off"
          autocapitalize="off"
          spellcheck={false}
          aria-describedby="token-hint"
        />
        <p class="hint" id="token-hint">{signIn.hint}</p>
        <button type="submit" class={oidc === null ? "primary" : ""}>{signIn.submit}</button>
      </form>
    </section>
  );
}

// The token stands behind the # of the link: browsers do not send that part anywhere, so it is in no log on the way.
const token = location.hash.slice(1);
const form = document.querySelector("form");
const status = document.querySelector("[role=status]");

history.replaceState(null, "", location.pathname);

function say(text, isBad) {
  status.textContent = text;
  status.className = isBad ? "bad" : "";
}

if (!token) {
  form.hidden = true;
  say("This link is not complete. Open it again from the mail, or ask for a new one.", true);
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const [password, again] = [form.password.value, form.again.value];
  if (password !== again) return say("The two are not the same.", true);
  say("One moment…", false);
  try {
    const answer = await fetch("/v1/password-resets/redeem", {
      method: "POST",
      credentials: "omit",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ token, password }),
    });
    if (answer.ok) {
      form.hidden = true;
      return say("Your password is set. All your other sessions have ended.", false);
    }
    say((await answer.json()).detail, true);
  } catch {
    say("The server does not answer. Try again in a moment.", true);
  }
});

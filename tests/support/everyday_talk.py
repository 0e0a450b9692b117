"""A talk with the rule responder in which every reply is heard to its end."""

from personaplex_app.personas import find
from personaplex_app.responder.rules import RuleResponder


class EverydayTalk:
    """A talk in a role, by persona or by prompt."""

    def __init__(self, persona: str = "assistant", prompt: str = "") -> None:
        self.responder = RuleResponder(prompt or find(persona).prompt)
        self.greeting = self.responder.greet()
        self.responder.record_played(self.greeting, False)

    def say(self, text: str, heard: bool = True) -> str:
        """Return the reply; one that is not heard was made and never played."""
        answer = " ".join(self.responder.reply(text))
        if heard:
            self.responder.record_played(answer, False)
        return answer

    def talk(self, *texts: str) -> str:
        """Say several things and return the last reply."""
        return [self.say(text) for text in texts][-1]

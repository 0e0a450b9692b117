"""The rule responder in Spanish: rules as data, facts of the role, a form that collects what it needs."""

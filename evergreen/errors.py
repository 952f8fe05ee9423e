"""Every error that Evergreen raises on purpose.

EvergreenError
├── ConfigError          a YAML file breaks a rule
├── AnswerNeeded         a survey cannot know something, and no flag says it
├── SourceError          a delivery cannot be read
├── DatabaseError        a database does not open, or does not answer a query
├── StorageError
│   ├── PartitionMissing
│   └── PartitionCorrupt
├── LedgerError          a ledger was changed by another hand
├── DayRefused           validation refuses a day as a whole
├── NotEnoughEvidence    something was asked that cannot be answered yet
├── OverlapError         a row judges a model that was trained on it
├── ModelError           a model cannot be loaded, or answers nonsense
├── RegistryError        MLflow does not answer
├── RollbackError        a version cannot be put back
├── StageError           a candidate cannot be approved, refused or taken out of shadow
└── BackupError          a backup cannot be taken or restored

Each message states the rule, the value received and the way out; the command line prints it without a stack trace.
"""


class EvergreenError(Exception):
    """The root: whatever is raised on purpose can be caught here."""


class ConfigError(EvergreenError):
    pass


class AnswerNeeded(EvergreenError):
    """`key` is what is asked for: the flag --KEY answers; `suggestion` is the best guess, None where there is none."""

    def __init__(self, key: str, question: str, suggestion: str | None = None) -> None:
        flag = f"--{key.replace('_', '-')}"
        super().__init__(f"{question} Say it with {flag}" + (f", such as {flag} {suggestion}" if suggestion else ""))
        self.key, self.question, self.suggestion = key, question, suggestion


class SourceError(EvergreenError):
    pass


class DatabaseError(EvergreenError):
    pass


class StorageError(EvergreenError):
    pass


class PartitionMissing(StorageError):
    pass


class PartitionCorrupt(StorageError):
    pass


class LedgerError(EvergreenError):
    pass


class DayRefused(EvergreenError):
    pass


class NotEnoughEvidence(EvergreenError):
    pass


class OverlapError(EvergreenError):
    pass


class ModelError(EvergreenError):
    pass


class RegistryError(EvergreenError):
    pass


class RollbackError(EvergreenError):
    pass


class StageError(EvergreenError):
    pass


class BackupError(EvergreenError):
    pass

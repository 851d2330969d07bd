"""One session's variables, and the running of one step in them.

Promises: `run` returns a result whatever the code does, short of ending the process; variables
persist from step to step; what the host gave (variables, tools, SUBMIT, `print`) is back in its
place after each step; the first SUBMIT of a step ends it and cannot be caught or replaced. Does not
promise: limits of time and memory, which the operating system keeps from outside.
"""

import gc
import keyword
from collections.abc import Callable, Sequence
from typing import Any

from rlm_dspy.repl import (
    caches,
    citing,
    environment,
    facades,
    faults,
    folder,
    modules,
    names,
    output,
    policy,
    scope,
    sub_agents,
)
from rlm_dspy.repl.garbage import Garbage
from rlm_dspy.repl.outcomes import StepResult, failure
from rlm_dspy.repl.shows import shown_variables
from rlm_dspy.repl.submission import fields_of, frozen
from rlm_dspy.repl.tool_errors import ToolError, ToolFailed

# How often what a step put in place of the host's variables is freed at its end: freeing it may run
# code that does it again. What is left after that is freed when the next step begins.
_ROUNDS = 10


class _Submitted(SystemExit):
    """Ends a step, or what is left of it; no handler of model code keeps it.

    A `SystemExit`, since an event loop keeps any other exception as the result of a task.
    """


class Namespace:
    """A session.

    Args:
        call_tool: Calls a host function by name, with positional and named arguments; gives plain
            data or raises `ToolFailed`.
        tools: The names of the host functions.
        output_fields: What SUBMIT takes: dicts with "name" and maybe "type"; None: one value.
        max_output_chars: The length of a step's output at most.
    """

    def __init__(
        self,
        call_tool: Callable[[str, list, dict], Any],
        *,
        tools: Sequence[str] = (),
        output_fields: Sequence[dict] | None = None,
        max_output_chars: int = 10_000,
    ):
        self._call_tool = call_tool
        self._max_output = max_output_chars
        self._sources = faults.Sources()
        self._configured: tuple[list[str], Any] | None = None
        self._own: dict[str, Any] = {}
        self._folder = folder.Folder()
        self._bound: dict[str, Any] = {}
        self._submitted: dict[str, Any] | None = None
        self._running = self._submitting = False
        self._replaced: list[Any] = []
        self._garbage = Garbage()
        self._variables: dict[str, Any] = {"__name__": "__main__", names.SANDBOX_MARK: True}
        self._builtins = self._make_builtins()
        self._variables["__builtins__"] = self._builtins
        self.configure(tools, output_fields)

    def _make_builtins(self) -> dict[str, Any]:
        view = scope.GlobalsView(self._variables, lambda: self.protected)
        return {
            **environment.base_builtins(),
            **scope.scope_functions(view),
            "__import__": self._import,
            names.SUBMITTED: self._check_ended,
            names.MARK: lambda: output.written(),
            names.ECHO: self._echo,
        }

    def configure(
        self, tools: Sequence[str] = (), output_fields: Sequence[dict] | None = None
    ) -> None:
        """Sets the tools and what SUBMIT takes, in place of those before.

        Args:
            tools: The names of the host functions.
            output_fields: As for the constructor.

        Raises:
            ValueError: A name that is not a free Python identifier.
        """
        wanted = (list(tools), output_fields)
        if wanted == self._configured:
            return
        self._configured = wanted
        for name in self._own:
            self._variables.pop(name, None)
        fields = {_checked(field["name"]): field.get("type") for field in output_fields or ()}
        self._own = {name: self._tool(_checked(name)) for name in tools if name != sub_agents.NAME}
        self._bound.pop(sub_agents.NAME, None)
        if sub_agents.NAME in tools:  # not one of its own: `import dspy` may bind it
            self._bound[sub_agents.NAME] = sub_agents.module(self._tool(sub_agents.NAME))
        self._own |= {
            "print": self._print,
            "SUBMIT": self._submit_function(fields),
            "show_vars": self._show_vars,
        }
        if folder.TYPE in fields.values():
            self._own |= {"open": self._open, "File": folder.File}
        if citing.TYPE in fields.values():
            self._own |= {"Citation": citing.Citation}
        self._restore()

    @property
    def protected(self) -> frozenset[str]:
        """The names that code may not assign to."""
        return frozenset(self._own)

    def bind(self, name: str, value: Any) -> None:
        """Gives the session a variable; code may reassign it for the rest of a step only.

        Raises:
            ValueError: The name is not a free Python identifier.
        """
        if name in self._own or (name == sub_agents.NAME and name in self._bound):
            raise ValueError(f"the variable {name!r} has the name of a function of the REPL")
        self._bound[_checked(name)] = value
        self._variables[name] = value

    def run(self, code: str) -> StepResult:
        """Runs one step.

        Args:
            code: Python source.

        Returns:
            What it came to; nothing that the code raises comes out of here.
        """
        self._replaced.clear()
        self._restore()
        caches.forget()
        capture = output.Capture(self._max_output)
        output.begin(capture)
        filename = self._sources.add(code)
        with self._garbage.of_a_step():
            result = self._execute(code, filename)
            notes = self._restore()
            for _ in range(_ROUNDS):
                if self._replaced:
                    self._replaced.clear()
                    self._restore()
        output.begin(capture)
        result.output = capture.text()
        result.message = "\n".join(filter(None, [output.escaped(result.message), *notes]))
        return result

    def _execute(self, code: str, filename: str) -> StepResult:
        self._submitted, self._running = None, True
        try:
            exec(policy.compile_step(code, filename, self.protected), self._variables)
            result = StepResult("ok")
        except BaseException as error:  # noqa: BLE001 (the boundary: model code raises anything)
            self._running = False  # the error's own `__str__` is over the end of the step
            result = failure(error, filename, self._sources)
        self._running = False
        if self._submitted is not None:
            result = StepResult("submit", submitted=self._submitted)
        return result

    def _restore(self) -> list[str]:
        """Puts back what the host gave; says which variables that changes."""
        notes = []
        own = {"__builtins__": self._builtins, "__name__": "__main__", **self._own, **self._bound}
        for name, value in own.items():
            found = self._variables.get(name)
            if found is value:
                continue
            # Freed here, it could run a finalizer that assigns to the name again.
            if gc.is_tracked(found):
                self._replaced.append(found)
            self._variables[name] = value
            if name in self._bound:
                notes.append(f"note: `{name}` is the input again; keep changes under another name")
        return notes

    # What the code can call

    def _import(
        self, name: str, variables: Any = None, local: Any = None, wanted: Any = (), level: int = 0
    ) -> Any:
        own = self._bound.get(name) if name == sub_agents.NAME and not level else None
        if own is None:
            return facades.import_module(name, variables, local, wanted, level)
        modules.import_from(own, wanted or ())
        return own

    def _check_ended(self) -> None:
        if self._submitted is not None or not self._running:
            raise _Submitted

    def _echo(self, before: int, value: Any) -> None:
        # An expression that printed has said what it had to say: `main()` needs no echo.
        if value is not None and output.written() == before:
            output.emit_value(value, repr)
            output.STDOUT.write("\n")

    @property
    def _print(self) -> Callable[..., None]:
        def print_(*values: Any, **options: Any) -> None:
            if not self._running:
                raise _Submitted
            environment.print_(*values, **options)

        return _named(print_, "print")

    @property
    def _open(self) -> Callable[..., Any]:
        opened = self._folder.open
        return _named(lambda *args, **kwargs: opened(*args, **kwargs), "open")

    def _freeze(self, given: dict[str, Any]) -> None:
        # Making values plain runs methods of model code: one that submits is not the first.
        if self._submitting:
            raise RuntimeError("SUBMIT was called while a value was being submitted")
        self._submitting = True
        try:
            self._submitted = frozen(given)
        finally:
            self._submitting = False

    @property
    def _show_vars(self) -> Callable[[], None]:
        def show_vars() -> None:
            """Prints what is defined, with types and sizes."""
            hidden = self._own.keys()
            environment.print_(shown_variables(self._variables, hidden))

        return _named(show_vars, "show_vars")

    def _tool(self, name: str) -> Callable[..., Any]:
        def tool(*args: Any, **kwargs: Any) -> Any:
            self._check_ended()
            try:
                return self._call_tool(name, list(args), kwargs)
            except ToolFailed as failure:
                error = ToolError(failure.message)
            raise error

        return _named(tool, name)

    def _submit_function(self, fields: dict[str, str | None]) -> Callable[..., None]:
        def submit(*args: Any, **kwargs: Any) -> None:
            self._check_ended()
            given = fields_of(list(fields), args, kwargs)
            for name, kind in fields.items():
                if kind == folder.TYPE:
                    given[name] = self._folder.submitted(given[name])
                elif kind == citing.TYPE:
                    given[name] = citing.submitted(given[name])
            self._freeze(given)
            raise _Submitted

        return _named(submit, "SUBMIT")


def _checked(name: str) -> str:
    free = name.isidentifier() and not keyword.iskeyword(name) and not names.is_reserved(name)
    if not free or name in ("print", "SUBMIT", "show_vars"):
        raise ValueError(f"{name!r} cannot be a name in the REPL: give a free Python identifier")
    return name


def _named(function: Any, name: str) -> Callable[..., Any]:
    function.__name__ = function.__qualname__ = name
    return function

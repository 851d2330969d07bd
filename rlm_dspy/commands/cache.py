"""`rlm cache`: the models' answers on this machine, and the texts that files were read as."""

from rlm_dspy.commands.arguments import commands
from rlm_dspy.commands.output import to_stdout

app = commands("cache", "The models' answers on this machine.")


@app.command("stats")
def show_cache() -> None:
    """Show where answers and the texts of files lie, and how much room they take."""
    from rlm_dspy.caching import cache_stats, texts_stats

    stats = cache_stats()
    to_stdout(f"folder   {stats.folder or '(none: answers are kept in memory only)'}")
    to_stdout(f"answers  {stats.entries:,}")
    to_stdout(f"size     {stats.size / 1e6:,.1f} of at most {stats.limit / 1e6:,.0f} MB")
    texts = texts_stats()
    to_stdout(f"folder   {texts.folder}")
    to_stdout(f"texts    {texts.entries:,}")
    to_stdout(f"size     {texts.size / 1e6:,.1f} of at most {texts.limit / 1e6:,.0f} MB")


@app.command("clear")
def forget_answers() -> None:
    """Forget every answer, and the texts that files were read as."""
    from rlm_dspy.caching import clear_cache, clear_texts
    from rlm_dspy.view.text import counted

    texts = counted(clear_texts(), "text")
    to_stdout(f"{counted(clear_cache(), 'answer')} and {texts} forgotten")

"""The chat screen, and the screens around it: the only room that knows Textual.

`app.PonderApp` is put together by the command line and by tests alike; `pump` is the one
crossing between other threads and the screen; `dialogue` is the conversation without its
widgets.
"""

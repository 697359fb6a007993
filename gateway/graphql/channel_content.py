"""GraphQL of what shops and connections show of products differently from the master."""

from gateway.graphql.fields import connection, mutation, query
from shared.contracts.catalog import channel_content as messages

FIELDS = (
    query("channelContent", messages.GetChannelContent),
    connection("channelContents", messages.ListChannelContent),
    mutation("changeChannelContent", messages.ChangeChannelContent),
    mutation("removeChannelContent", messages.RemoveChannelContent),
    mutation("changeChannelContents", messages.ChangeChannelContents),
    mutation("handOverChannelContent", messages.HandOverChannelContent),
    mutation("handOverChannelContents", messages.HandOverChannelContents),
)

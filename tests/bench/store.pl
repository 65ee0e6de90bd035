#!/usr/bin/perl
# A receiver of events in Perl, a peer in the measurements: the web server has checked the password,
# a bearer token is compared here; the JSON is checked and kept in a durable file.
use strict;
use warnings;
use Fcntl qw(O_WRONLY O_CREAT O_EXCL);
use IO::Handle;
use JSON::XS;

if (!$ENV{AUTH_TYPE} && ($ENV{HTTP_AUTHORIZATION} // '') ne "Bearer $ENV{BEARER_TOKEN}") {
    print "Status: 401 Unauthorized\r\nWWW-Authenticate: Bearer\r\n\r\n";
    exit;
}
binmode STDIN;
my $length = $ENV{CONTENT_LENGTH};
read(STDIN, my $body, $length) == $length or die "the body is cut short\n";
my $id = decode_json($body)->{orderEvent}{meta}{messageId};
$id =~ /\A[0-9A-Za-z-]+\z/ or die "no message id\n";

my $spool = $ENV{TRADECLOUD_SPOOL};
my $temporary = "$spool/tmp/$id.$$";
sysopen(my $file, $temporary, O_WRONLY | O_CREAT | O_EXCL, 0640) or die "$temporary: $!\n";
print {$file} $body or die "$temporary: $!\n";
$file->flush && $file->sync && close $file or die "$temporary: $!\n";
link $temporary, "$spool/new/$id.json" or die "$spool/new: $!\n";
open(my $directory, '<', "$spool/new") or die "$spool/new: $!\n";
$directory->sync or die "$spool/new: $!\n";
unlink $temporary;
print "Status: 202 Accepted\r\nContent-Type: application/json\r\n\r\n{}\n";

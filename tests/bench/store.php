<?php
// A receiver of events in PHP, a peer in the measurements: the web server has checked the password,
// a bearer token is compared here; the JSON is checked and kept in a durable file.

function check(bool $done): void
{
    if (!$done) {
        http_response_code(503);
        exit;
    }
}

if (($_SERVER['AUTH_TYPE'] ?? '') === ''
    && !hash_equals("Bearer {$_SERVER['BEARER_TOKEN']}", $_SERVER['HTTP_AUTHORIZATION'] ?? '')) {
    header('WWW-Authenticate: Bearer', true, 401);
    exit;
}
$body = file_get_contents('php://input');
$event = json_decode($body, true);
$id = $event['orderEvent']['meta']['messageId'] ?? '';
check(preg_match('/\A[0-9A-Za-z-]+\z/', $id) === 1);

$spool = $_SERVER['TRADECLOUD_SPOOL'];
$temporary = "$spool/tmp/$id." . getmypid();
$file = fopen($temporary, 'xb');
check($file !== false);
check(fwrite($file, $body) === strlen($body) && fflush($file) && fsync($file) && fclose($file));
check(link($temporary, "$spool/new/$id.json"));
$directory = fopen("$spool/new", 'r');
check($directory !== false && fsync($directory));
unlink($temporary);
http_response_code(202);
header('Content-Type: application/json');
echo "{}\n";
